"""Hosts from which callers are denied again and again."""

from collections import OrderedDict

from grpc import StatusCode

from xds_server.ads.closing import Closing
from xds_server.ads.limits import AdsLimits, TokenBucket

_REMEMBERED = 10_000


class Suspects:
    """Refuses hosts before anything is asked about their callers, so that they cost little.

    Whoever guesses can then neither use up the places of new streams, nor have the API server
    asked at will. Times are monotonic, in seconds.
    """

    def __init__(self, limits: AdsLimits) -> None:
        self._limits = limits
        self._denials: OrderedDict[str, TokenBucket] = OrderedDict()
        self._shut_out: dict[str, float] = {}

    def check(self, host: str, now: float) -> None:
        """Raise Closing if the host has to wait."""
        if now < self._shut_out.get(host, now):
            raise Closing(StatusCode.RESOURCE_EXHAUSTED, "denied too often, try again later")

    def note(self, host: str, now: float) -> None:
        """A caller from this host was denied."""
        bucket = self._denials.pop(host, None) or TokenBucket(
            self._limits.denials_per_second, self._limits.denials_burst
        )
        self._denials[host] = bucket
        self._shut_out[host] = now + bucket.take(now)
        while len(self._denials) > _REMEMBERED:
            oldest, _ = self._denials.popitem(last=False)
            del self._shut_out[oldest]
