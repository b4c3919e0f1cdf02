"""What is known of calls and handoffs beyond their end, and what people and programs say about them."""

from b2bua.history.history import History, Page
from b2bua.history.notes import Annotation, Context, Resolution
from b2bua.history.timeline import timeline

__all__ = ["Annotation", "Context", "History", "Page", "Resolution", "timeline"]
