"""The xDS transport protocol without I/O: sessions that turn requests and snapshots into responses.

No grpc, no asyncio, no clock, no log. A session belongs to one ADS stream.
"""

from xds_server.protocol.delta import DeltaSession
from xds_server.protocol.events import (
    Acknowledged,
    ProtocolViolation,
    Rejected,
    ResourceState,
    Response,
    SessionLimits,
)
from xds_server.protocol.sotw import SotwSession

__all__ = [
    "Acknowledged",
    "DeltaSession",
    "ProtocolViolation",
    "Rejected",
    "ResourceState",
    "Response",
    "SessionLimits",
    "SotwSession",
]
