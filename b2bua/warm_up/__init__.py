"""Calls that a process plays with itself before it serves: compiled by a just-in-time compiler, found in caches."""
