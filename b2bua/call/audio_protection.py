"""How the audio of a leg is to be protected, and what it is called when that fails.

Keys stand in the session description (SDES, RFC 4568), so whoever reads the signalling can read the audio: without TLS
they are neither given nor taken, unless `media.srtp.keys_in_clear` permits it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from b2bua.call import cause
from b2bua.sdp_bridge import MediaTerms, SrtpRequired

if TYPE_CHECKING:
    from b2bua.call.call import Call
    from b2bua.encryption import MediaProtection
    from media.engine import MediaLeg
    from sip_stack.errors import RemoteError
    from sip_stack.transport import Flow

_PLAIN = MediaTerms()


def media_terms(call: Call, media: MediaLeg, flow: Flow, protection: MediaProtection) -> MediaTerms:
    """What a leg over `flow` asks of its audio. Raises `SrtpRequired` where keys would have to cross in clear."""
    srtp = call.configuration.media.srtp
    if protection == "disabled":
        return _PLAIN
    if flow.transport != "tls" and not srtp.keys_in_clear:
        if protection == "required":
            raise SrtpRequired("SRTP is required, and its keys only cross over TLS")
        return _PLAIN
    return MediaTerms(protection, srtp.suites, media.master_key)


def unusable(error: RemoteError, source: str | None = None) -> cause.Outcome:
    """The outcome of a session description that is understood and cannot be used."""
    event = "srtp_required" if isinstance(error, SrtpRequired) else "media_not_acceptable"
    return cause.local(event, source=source, detail=error.reason)
