"""The HTTP API: what developers ask of a running B2BUA and what they are answered (docs/api.md)."""

from b2bua.http_api.server import ApiServer, ApiStartError

__all__ = ["ApiServer", "ApiStartError"]
