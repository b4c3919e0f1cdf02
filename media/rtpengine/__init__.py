"""The second media engine: `media.engine` over one or several rtpengine daemons, spoken to by their ng protocol."""

from media.rtpengine.engine import RtpengineEngine
from media.rtpengine.node import Node
from media.rtpengine.settings import Interfaces, NgAddress, RtpengineSettings

__all__ = ["Interfaces", "NgAddress", "Node", "RtpengineEngine", "RtpengineSettings"]
