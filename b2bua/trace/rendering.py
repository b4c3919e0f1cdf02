"""A ladder as what somebody can look at: text, a Mermaid diagram, a web page, a capture file."""

from __future__ import annotations

from enum import StrEnum

from b2bua.trace.ladder import Ladder
from b2bua.trace.mermaid import mermaid
from b2bua.trace.page import page
from b2bua.trace.pcap import pcap
from b2bua.trace.text import text


class Format(StrEnum):
    """How a trace may be shown."""

    TEXT = "text"
    MERMAID = "mermaid"
    HTML = "html"
    PCAP = "pcap"


FORMATS = {
    Format.TEXT: "text/plain; charset=utf-8",
    Format.MERMAID: "text/vnd.mermaid; charset=utf-8",
    Format.HTML: "text/html; charset=utf-8",
    Format.PCAP: "application/vnd.tcpdump.pcap",
}
"""And the media type of each."""


def render(ladder: Ladder, format_: Format) -> bytes:
    """The ladder in a format."""
    match format_:
        case Format.TEXT:
            return text(ladder).encode()
        case Format.MERMAID:
            return mermaid(ladder).encode()
        case Format.HTML:
            return page(ladder).encode()
        case Format.PCAP:
            return pcap(ladder)
