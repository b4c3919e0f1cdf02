"""Digest authentication, both sides (RFC 3261 section 22, RFC 7616, RFC 8760)."""

from sip_stack.auth.challenge import Challenge, parse_challenges
from sip_stack.auth.client import AuthFailure, AuthRejected, DigestClient
from sip_stack.auth.digest import Algorithm, Credentials, algorithm_named, response_value
from sip_stack.auth.server import DigestServer, Verdict

__all__ = [
    "Algorithm",
    "AuthFailure",
    "AuthRejected",
    "Challenge",
    "Credentials",
    "DigestClient",
    "DigestServer",
    "Verdict",
    "algorithm_named",
    "parse_challenges",
    "response_value",
]
