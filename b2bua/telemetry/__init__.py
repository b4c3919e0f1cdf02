"""Logs, and the plain numbers that metrics are made of: what an operator sees."""
