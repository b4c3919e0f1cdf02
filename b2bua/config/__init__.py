"""Configuration: YAML files in; one immutable snapshot out, or every problem with its line."""

from b2bua.config.addresses import Listener, PortRange
from b2bua.config.assistant import Assistant
from b2bua.config.auth import Auth
from b2bua.config.capacity import Capacity, capacity
from b2bua.config.configuration import Configuration
from b2bua.config.destination import Destination
from b2bua.config.dialled import Dialled
from b2bua.config.hold_music import HoldMusic, parse_hold_music
from b2bua.config.loader import load_configuration
from b2bua.config.media import Media
from b2bua.config.policy import Policy
from b2bua.config.problems import ConfigurationError, Position, Problem
from b2bua.config.reload import ConfigurationWatcher, ReloadResult
from b2bua.config.route import Route
from b2bua.config.schema import configuration_schema, destinations_schema
from b2bua.config.services import Api, Limits, Records, Store
from b2bua.config.sip import Sip
from b2bua.config.timers import Timers
from b2bua.config.trunk import Accept, Outbound, Trunk

__all__ = [
    "Accept",
    "Api",
    "Assistant",
    "Auth",
    "Capacity",
    "Configuration",
    "ConfigurationError",
    "ConfigurationWatcher",
    "Destination",
    "Dialled",
    "HoldMusic",
    "Limits",
    "Listener",
    "Media",
    "Outbound",
    "Policy",
    "PortRange",
    "Position",
    "Problem",
    "Records",
    "ReloadResult",
    "Route",
    "Sip",
    "Store",
    "Timers",
    "Trunk",
    "capacity",
    "configuration_schema",
    "destinations_schema",
    "load_configuration",
    "parse_hold_music",
]
