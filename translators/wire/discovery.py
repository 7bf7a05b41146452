"""Discovery requests from bytes, discovery responses to bytes.

Requests are read by hand because they come at the rate of ACKs: only the fields that the server
uses are decoded, everything else is skipped, and everything is bounded. Responses are joined from
the finished bytes of their resources. Field numbers: envoy/service/discovery/v3/discovery.proto.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from translators.wire.resource import Resource

MAX_NAMES = 10_000
"""Names in one list of one request; more than that is refused."""

MAX_NAME_BYTES = 1024
"""Bytes of one resource name."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class MalformedRequest(ValueError):
    """The bytes are not a protobuf message, or are out of bounds."""


@dataclass(frozen=True, slots=True)
class RequestError:
    """Why a client refused a response: a gRPC status code and the client's words."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class DeltaRequest:
    """A DeltaDiscoveryRequest. ``node`` is the encoded Node, None if the request has none."""

    type_url: str
    nonce: str = ""
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    error: RequestError | None = None
    node: bytes | None = None


@dataclass(frozen=True, slots=True)
class SotwRequest:
    """A DiscoveryRequest. ``node`` is the encoded Node, None if the request has none."""

    type_url: str
    version: str = ""
    nonce: str = ""
    names: tuple[str, ...] = ()
    error: RequestError | None = None
    node: bytes | None = None
