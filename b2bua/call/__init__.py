"""The call: its legs, its story, its record."""
