"""`tls:` our own certificate and whom we trust, under `sip`; and what differs for one place that we dial.

The names of files are made absolute in the tree, before these models are made: relative ones are beside the file that
names them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StrictBool, ValidationInfo, model_validator

from b2bua.config.secrets import beside
from b2bua.config.section import Section, matching, one_or_list, refusal
from b2bua.config.yaml_tree import Node
from b2bua.encryption import UNENCRYPTED
from sip_stack.aio.tls_contexts import SYSTEM
from sip_stack.transport import TlsTerms

File = Annotated[str, matching(r"[^\x00-\x1f\x7f]{1,4096}", "the name of a file")]
CaFiles = Annotated[tuple[File, ...], Field(min_length=1, max_length=16), one_or_list()]
HostName = Annotated[
    str,
    matching(
        r"(?=.{1,253}$)(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z][A-Za-z0-9-]{0,62}",
        "a host name",
    ),
]


class Tls(Section):
    """Our side of TLS. Files are PEM, and read again when they change."""

    certificate: File
    """Our certificate, followed by the intermediate ones. Shown to clients, and to servers that ask for one."""
    private_key: File
    """Its key, without a password."""
    ca: CaFiles = (SYSTEM,)
    """Whom we trust: `system` (the CAs of this machine), a file, or a list of them."""
    name: HostName | None = None
    """What Via and Contact say over TLS: a name that the certificate is for. Without it, our address."""


class TlsClient(Section):
    """On what terms a place is called over TLS."""

    verify: StrictBool = True
    """`false`: whoever answers is believed, whatever their certificate says."""
    ca: CaFiles | None = None
    """Whom to trust instead of those of `sip.tls.ca`."""
    certificate: File | None = None
    """What we show when asked for a certificate, instead of that of `sip.tls`."""
    private_key: File | None = None
    """Its key."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.certificate is None) != (self.private_key is None):
            raise refusal("a certificate without its key, or a key alone", allowed="both, or none")
        if self.ca is not None and not self.verify:
            raise refusal("a ca that nothing is verified against", allowed="ca, or `verify: false`")
        return self

    @property
    def terms(self) -> TlsTerms:
        """The same in the stack's words."""
        return TlsTerms(self.verify, self.ca or (), self.certificate or "", self.private_key or "")


def _of_tls_only(value: TlsClient | None, info: ValidationInfo) -> TlsClient | None:
    encryption = info.data.get("encryption")
    if value is not None and encryption == UNENCRYPTED:
        raise refusal(f"means nothing with encryption {UNENCRYPTED}", allowed="with tls/…")
    return value


TlsOfPlace = Annotated[TlsClient | None, AfterValidator(_of_tls_only)]
"""Of a model that has `encryption` before it."""


def locate_files(node: Node, *, inside: bool = False) -> Node:
    """A copy of a tree in which every `tls:` names its files by their absolute path."""
    value = node.value
    if isinstance(value, list):
        return replace(node, value=[locate_files(each, inside=inside) for each in value])
    if isinstance(value, dict):
        below = {key: locate_files(each, inside=key == "tls") for key, each in value.items()}
        if inside:
            below |= {
                key: _located(below[key]) for key in ("certificate", "private_key", "ca") if key in below
            }
        return replace(node, value=below)
    return node


def _located(node: Node) -> Node:
    if isinstance(node.value, list):
        return replace(node, value=[_located(each) for each in node.value])
    if not isinstance(node.value, str) or not node.value or node.value == SYSTEM:
        return node
    return replace(node, value=str(beside(node).absolute()))
