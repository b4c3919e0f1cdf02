"""Logs, and later metrics and traces: what an operator sees."""
