"""How many streams there may be: in all, of one identity, and new ones a second."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from grpc import StatusCode

from xds_server.ads.closing import Closing
from xds_server.ads.limits import AdsLimits, TokenBucket


class Admission:
    """Counts the streams of a server. Keeps the old ones and refuses the new."""

    def __init__(self, limits: AdsLimits) -> None:
        self._limits = limits
        self._arrivals = TokenBucket(limits.new_streams_per_second, limits.new_streams_burst)
        self._streams = 0
        self._of_identity: Counter[str] = Counter()

    @contextmanager
    def enter(self, now: float) -> Iterator[None]:
        """Hold a place for a new stream, before anything is known of it.

        ``now`` is a monotonic time in seconds. Raises Closing if there is no place.
        """
        if self._arrivals.take(now):
            raise Closing(StatusCode.RESOURCE_EXHAUSTED, "too many new streams, try again later")
        if self._streams >= self._limits.streams:
            raise Closing(StatusCode.RESOURCE_EXHAUSTED, "too many streams")
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    @contextmanager
    def identify(self, identity: str) -> Iterator[None]:
        """Hold one of the places of this identity. Raises Closing if it has no more."""
        if self._of_identity[identity] >= self._limits.streams_per_identity:
            raise Closing(StatusCode.RESOURCE_EXHAUSTED, "too many streams of this identity")
        self._of_identity[identity] += 1
        try:
            yield
        finally:
            self._of_identity[identity] -= 1
            if not self._of_identity[identity]:
                del self._of_identity[identity]
