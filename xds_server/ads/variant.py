"""The two variants of the protocol, which differ in how requests read and sessions think."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from translators.wire.discovery import (
    DeltaRequest,
    SotwRequest,
    read_delta_request,
    read_sotw_request,
)
from translators.wire.resource import ResourceKey
from translators.wire.snapshot import Snapshot
from xds_server.protocol import (
    Acknowledged,
    DeltaSession,
    Rejected,
    ResourceState,
    Response,
    SessionLimits,
    SotwSession,
)

Request = TypeVar("Request", bound=DeltaRequest | SotwRequest)
Request_contra = TypeVar("Request_contra", bound=DeltaRequest | SotwRequest, contravariant=True)


class Session(Protocol[Request_contra]):
    """What a stream needs of a session of either variant."""

    def receive(self, request: Request_contra) -> Acknowledged | Rejected | None:
        """Take in a request. Raises ProtocolViolation."""

    def update(self, snapshot: Snapshot, changed: Collection[ResourceKey] | None) -> None:
        """Serve this snapshot from now on."""

    def suspect(self, keys: Iterable[ResourceKey]) -> None:
        """Take these for bad until they are accepted."""

    def may_respond(self) -> bool:
        """Whether it is worth asking for the next response."""

    def next_response(self) -> Response | None:
        """What to write next, if anything."""

    def state(self) -> Mapping[ResourceKey, ResourceState]:
        """How far each resource has come."""


@dataclass(frozen=True, slots=True)
class Variant(Generic[Request]):
    """How to read a request and how to answer; ``read`` raises MalformedRequest."""

    name: str
    read: Callable[[bytes], Request]
    session: Callable[[SessionLimits], Session[Request]]


DELTA = Variant("delta", read_delta_request, DeltaSession)
SOTW = Variant("sotw", read_sotw_request, SotwSession)
