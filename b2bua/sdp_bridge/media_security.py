"""Which profile and which keys a leg's audio has: SDES (RFC 4568), and RTP/AVP with keys beside it (RFC 8643).

What is decided here is per leg: its terms say whether SRTP is a must, a wish, or not ours. Once a leg is encrypted it
stays so: an offer or answer that would take it back to plain RTP is refused.
"""

from __future__ import annotations

from collections.abc import Callable

from b2bua.encryption import MediaProtection
from media.engine import MediaError
from media.srtp import CryptoSuite, SrtpKeys
from media.value_class import value_class
from sip_stack.errors import RemoteError
from sip_stack.sdp import WARN_TRANSPORT, Crypto, Media, cryptos_of, not_acceptable

PLAIN_PROFILES = ("RTP/AVP", "RTP/AVPF")
SECURE_PROFILES = ("RTP/SAVP", "RTP/SAVPF")
"""Profiles we answer, by echoing them. The ones with F permit feedback but do not demand any (RFC 4585, RFC 5124)."""

OFFERED: dict[MediaProtection, str] = {
    "required": "RTP/SAVP",
    "preferred": "RTP/AVP",
    "disabled": "RTP/AVP",
}
"""The profile of our offers. Keys beside RTP/AVP: who cannot use them answers plain RTP (RFC 8643)."""


class SrtpRequired(RemoteError):
    """The far end would have plain RTP, or keys that we cannot use, where SRTP is a must (11010)."""

    def __init__(self, text: str = "SRTP is required") -> None:
        refusal = not_acceptable(WARN_TRANSPORT, text)
        super().__init__(refusal.status_hint, refusal.reason, refusal.headers)


def _no_key(suite: CryptoSuite) -> bytes:
    raise AssertionError(f"a leg without SRTP was asked for a key of {suite}")


@value_class
class MediaTerms:
    """What a leg is asked of its audio."""

    protection: MediaProtection = "disabled"
    suites: tuple[CryptoSuite, ...] = ()
    """Offered in this order; of an offer the first line with one of them is taken."""
    new_key: Callable[[CryptoSuite], bytes] = _no_key
    """A key of ours for a suite: `MediaLeg.master_key`, which raises `MediaError` when there is none."""

    @property
    def profile(self) -> str:
        """The profile of our first offer."""
        return OFFERED[self.protection]

    def offered(self) -> tuple[Crypto, ...]:
        """The lines of our first offer, each with a key of its own."""
        if self.protection == "disabled":
            return ()
        return tuple(Crypto(tag, suite, self._key(suite)) for tag, suite in enumerate(self.suites, 1))

    def answered(self, theirs: Crypto, before: Crypto | None) -> Crypto:
        """Our line in the answer to an offer in which `theirs` was chosen; `before`, the one in force, lends its key
        while the suite is the same."""
        if before is not None and before.suite == theirs.suite:
            return theirs.answered_with(before.key)
        return theirs.answered_with(self._key(CryptoSuite(theirs.suite)))

    def _key(self, suite: CryptoSuite) -> bytes:
        try:
            return self.new_key(suite)
        except MediaError as error:
            raise not_acceptable(WARN_TRANSPORT, f"No SRTP: {error}") from error


@value_class
class Agreement:
    """What a section that we can carry says of its protection: both lines, or none for plain RTP."""

    theirs: Crypto | None = None
    ours: Crypto | None = None
    """Ours in an offer of ours; None while theirs is an offer."""


PLAIN = Agreement()

Admit = Callable[[Media], Agreement | None]
"""Judges the profile and the keys of a section; None when they are not for us."""


def admit_offer(terms: MediaTerms, before: Media | None, active: Crypto | None) -> Admit:
    """Judges sections of an offer of the peer. `before` is the section in use, if it is a re-offer, `active` the peer's
    line in use."""

    def admit(media: Media) -> Agreement | None:
        profile = media.lines.protocol.upper()
        if profile not in PLAIN_PROFILES + SECURE_PROFILES:
            return None
        theirs = _choose(media, terms, active) if terms.protection != "disabled" else None
        if theirs is not None:
            return Agreement(theirs)
        plain = profile in PLAIN_PROFILES and terms.protection != "required" and active is None
        return PLAIN if plain and (before is None or profile == before.lines.protocol.upper()) else None

    return admit


def _choose(media: Media, terms: MediaTerms, active: Crypto | None) -> Crypto | None:
    usable = [crypto for crypto in cryptos_of(media) if crypto.suite in terms.suites]
    same = [crypto for crypto in usable if active is not None and crypto.suite == active.suite]
    return next(iter(same or usable), None)


def admit_answer(offered: Media, ours: tuple[Crypto, ...], *, may_decline: bool) -> Admit:
    """Judges the section that answers ours, which offered these lines. `may_decline`: plain RTP answers them too."""

    def admit(media: Media) -> Agreement | None:
        profile = media.lines.protocol.upper()
        if not ours:
            return PLAIN if profile == offered.lines.protocol.upper() else None
        if profile not in PLAIN_PROFILES + SECURE_PROFILES:
            return None
        lines = cryptos_of(media)
        agreement = _match(lines, ours)
        if agreement is not None:
            return agreement
        declined = profile in PLAIN_PROFILES and not media.lines.attribute_values("crypto")
        return PLAIN if declined and may_decline else None

    return admit


def _match(lines: list[Crypto], ours: tuple[Crypto, ...]) -> Agreement | None:
    """The line that takes one of ours: by tag and suite, else by the suite alone, as some renumber the tag."""
    pairs = [(theirs, own) for theirs in lines for own in ours if theirs.suite == own.suite]
    exact = [pair for pair in pairs if pair[0].tag == pair[1].tag]
    for theirs, own in exact or pairs:
        return Agreement(theirs, own)
    return None


def srtp_keys(ours: Crypto | None, theirs: Crypto | None) -> SrtpKeys | None:
    """For the engine; None for plain RTP."""
    if ours is None or theirs is None:
        return None
    return SrtpKeys(CryptoSuite(theirs.suite), ours.key, theirs.key, theirs.mki_octets)
