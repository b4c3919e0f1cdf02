"""A SIP back-to-back user agent that hands live calls from an AI voice agent to a human."""

__version__ = "0.1.0"
