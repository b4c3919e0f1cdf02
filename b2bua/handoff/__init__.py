"""Handing a live call to a human: the request, the plan made from it, one file per method, and what came of it."""
