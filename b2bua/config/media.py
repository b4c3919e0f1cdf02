"""`media:` where audio flows and in which codecs."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from b2bua.config.addresses import IpAddress, PortRange, Ports
from b2bua.config.class_of_service import ClassOfService
from b2bua.config.rtpengine import Rtpengine
from b2bua.config.section import Section, refusal
from b2bua.config.srtp import Srtp
from media.engine import G711, Codec, Latching, Ringback

WILDCARDS = ("0.0.0.0", "::")
"""All addresses of this machine."""


def _codecs(codecs: tuple[Codec, ...]) -> tuple[Codec, ...]:
    if len(set(codecs)) < len(codecs):
        raise refusal("a codec named twice")
    if not set(codecs) & set(G711):
        raise refusal("neither PCMU nor PCMA, which prompts are made of", allowed="one of them at least")
    return codecs


class Media(Section):
    """The audio side of this machine."""

    engine: Literal["native", "rtpengine"] = "native"
    """What carries the audio: this process, or rtpengine daemons."""
    rtpengine: Rtpengine | None = None
    """The daemons, with `engine: rtpengine`."""
    address: IpAddress = "0.0.0.0"
    """The local address audio ports are opened on. What peers are told follows `sip.advertise`."""
    ports: Ports = PortRange(16384, 32767)
    """UDP ports for audio; each leg of a call takes two of them (RTP and RTCP)."""
    codecs: Annotated[tuple[Codec, ...], Field(min_length=1), AfterValidator(_codecs)] = G711
    """Offered in this order. PCMU and PCMA are turned into each other where the sides differ; G722 and opus are passed
    through between a caller and a destination that both have them."""
    latching: Latching = Latching.AUTO
    """Whom we believe about where audio comes from and goes to: `auto`, the first valid packet until one is more likely
    the peer's; `strict`, the SDP; `disabled`, the SDP for what we send, as with `auto` for what we hear."""
    srtp: Srtp = Srtp()
    """How audio is encrypted; whether it is, is up to each trunk's `srtp` and each place's `encryption`."""
    ringback: Ringback = Ringback.US
    """Whose ringing tone a caller hears where we make it: `us`, `uk`, `eu` (425 Hz, most of Europe), `de`, `es`, `fr`,
    `it`, `se`."""
    dscp: ClassOfService = 46
    """The class of service of RTP and RTCP, 0 to 63 or a name such as EF."""

    @cached_property
    def own_address(self) -> str | None:
        """Where everybody is to send audio; None where that depends on who it is."""
        return None if self.address in WILDCARDS or self.engine != "native" else self.address

    @model_validator(mode="after")
    def _needs_daemons(self) -> Self:
        if self.engine == "rtpengine" and self.rtpengine is None:
            raise refusal(
                "the rtpengine engine without daemons", allowed="rtpengine: {nodes: [tcp:ADDRESS:PORT]}"
            )
        if self.engine != "rtpengine" and self.rtpengine is not None:
            raise refusal("rtpengine daemons and another engine", allowed="engine: rtpengine")
        if self.rtpengine is not None and not set(self.codecs) <= set(G711):
            raise refusal("a codec that the rtpengine engine does not carry", allowed="PCMU and PCMA")
        return self
