"""The configuration file as a whole: what is in it and what editors are told about it."""

from __future__ import annotations

from pydantic import Field, RootModel

from b2bua.config.destination import Destination
from b2bua.config.durations import KeepDuration
from b2bua.config.media import Media
from b2bua.config.policy import Policy
from b2bua.config.route import Route
from b2bua.config.section import Name, Section, Text
from b2bua.config.services import DEFAULT_STORE, Api, Limits, Records, StoreUrl
from b2bua.config.sip import Sip
from b2bua.config.telemetry import Telemetry
from b2bua.config.timers import Timers
from b2bua.config.trunk import Trunk
from b2bua.config.webhooks import Webhooks


class Names(Section):
    """What stands in the main file in one value each."""

    destinations: Text
    """The file of the destinations, relative to this one."""
    store: StoreUrl = Field(default=DEFAULT_STORE, validate_default=True)
    """Where the context of handoffs and the stories of ended calls are kept: `sqlite:PATH`, `redis://host:6379/0`,
    or `disabled` for memory only, which is the default without an `api`."""
    context_ttl: KeepDuration = Field(default="7d", validate_default=True)
    """How long they are kept."""
    node: Name | None = None
    """The name of this node in records and in the store; no two processes at once may have the same. Without it the
    host's."""


class ConfigurationFile(Names):
    """The main file."""

    sip: Sip
    media: Media = Field(default_factory=Media)
    trunks: dict[Name, Trunk] = Field(default_factory=dict)
    """Who may send us calls, and through whom we dial, by name."""
    routes: tuple[Route, ...] = ()
    """Where a new call goes; the first entry that matches wins."""
    policy: Policy = Policy()
    timers: Timers = Timers()
    limits: Limits = Limits()
    api: Api | None = None
    records: Records = Records()
    webhooks: Webhooks = Webhooks()
    telemetry: Telemetry = Telemetry()


class DestinationsFile(RootModel[dict[Name, Destination]]):
    """The file of the destinations."""
