"""The ADS service over gRPC: raw bytes in and out, back-pressure, limits."""

from xds_server.ads.counters import AdsCounters
from xds_server.ads.limits import AdsLimits
from xds_server.ads.registry import StreamRegistry, StreamStatus
from xds_server.ads.server import AdsServer
from xds_server.ads.service import AdsService

__all__ = [
    "AdsCounters",
    "AdsLimits",
    "AdsServer",
    "AdsService",
    "StreamRegistry",
    "StreamStatus",
]
