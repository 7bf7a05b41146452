"""The proxies that are connected now, for the config dump and for people."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from translators.wire.resource import ResourceKey
from xds_server.identity.peer import Proxy
from xds_server.protocol import ResourceState


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """One open stream. ``variant`` is ``delta`` or ``sotw``; ``state()`` is as of the call."""

    proxy: Proxy
    peer: str
    variant: str
    connected_at: datetime
    state: Callable[[], Mapping[ResourceKey, ResourceState]]


class StreamRegistry:
    """Lists the open streams in the order in which they came."""

    def __init__(self) -> None:
        self._open: dict[int, StreamStatus] = {}

    @contextmanager
    def listing(self, status: StreamStatus) -> Iterator[None]:
        """List the stream as long as the context lasts."""
        self._open[id(status)] = status
        try:
            yield
        finally:
            del self._open[id(status)]

    def streams(self) -> tuple[StreamStatus, ...]:
        """The streams that are open now."""
        return tuple(self._open.values())
