"""The state-of-the-world variant of the protocol: DiscoveryRequest and DiscoveryResponse."""

from collections.abc import Collection, Mapping

from translators.wire.discovery import SotwRequest
from translators.wire.resource import ResourceKey
from translators.wire.snapshot import Snapshot
from xds_server.protocol.events import (
    Acknowledged,
    Rejected,
    ResourceState,
    Response,
    SessionLimits,
)


class SotwSession:
    """One state-of-the-world ADS stream."""

    def __init__(self, limits: SessionLimits) -> None:
        self._limits = limits

    def receive(self, request: SotwRequest) -> Acknowledged | Rejected | None:
        """Take in a request; says what it acknowledges or refuses. Raises ProtocolViolation."""
        raise NotImplementedError

    def update(self, snapshot: Snapshot, changed: Collection[ResourceKey] | None) -> None:
        """Serve this snapshot from now on; ``changed`` = keys that differ, None = compare all."""
        raise NotImplementedError

    def next_response(self) -> Response | None:
        """The next response to write, or None if nothing may or need be sent now."""
        raise NotImplementedError

    def state(self) -> Mapping[ResourceKey, ResourceState]:
        """How far each resource has come, for the config dump."""
        raise NotImplementedError
