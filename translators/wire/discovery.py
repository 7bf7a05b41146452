"""Discovery requests from bytes, discovery responses to bytes.

Requests are read by hand because they come at the rate of ACKs: only the fields that the server
uses are decoded, the rest (``resource_locators`` among it) is skipped, and all is bounded.
Responses are joined from the finished bytes of their resources.
Field numbers: envoy/service/discovery/v3/discovery.proto.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from translators.wire.fields import (
    MalformedRequest,
    read_delimited,
    read_entry,
    read_fields,
    read_text,
)
from translators.wire.node import Node, parse_node
from translators.wire.resource import Resource, TypeUrl
from translators.wire.scalar import WireType, delimit, tag, varint

MAX_NAMES = 10_000
"""Names in one list of one request."""

MAX_NAME_BYTES = 1024
"""Bytes of one resource name."""

MAX_ERROR_CHARACTERS = 4096
"""Of a longer error message the middle is left out: a client must not fill logs and conditions."""

__all__ = [
    "DeltaRequest",
    "MalformedRequest",
    "Node",
    "RequestError",
    "SotwRequest",
    "abridged",
    "delta_response",
    "parse_node",
    "read_delta_request",
    "read_sotw_request",
    "sotw_response",
]

_TYPE_URL_FIELD, _NONCE_FIELD = tag(2, WireType.LENGTH)[0], tag(6, WireType.LENGTH)
_TYPE_URLS = {type_url.encode(): type_url.value for type_url in TypeUrl}
_TOO_LONG = f"a resource name is longer than {MAX_NAME_BYTES} bytes"
_CUT = " ... "
_NO_VERSIONS: Mapping[str, str] = MappingProxyType({})


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
    initial_versions: Mapping[str, str] = field(default_factory=lambda: _NO_VERSIONS)
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


def read_delta_request(data: bytes) -> DeltaRequest:
    """An encoded DeltaDiscoveryRequest. Raises MalformedRequest."""
    return _read_acknowledgement(data) or _read_any_delta_request(data)


def _read_acknowledgement(data: bytes) -> DeltaRequest | None:
    """Nearly all requests are of a type URL and a nonce, in this order, and nothing else."""
    if len(data) < 2 or data[0] != _TYPE_URL_FIELD:
        return None
    end = 2 + data[1]
    type_url = _TYPE_URLS.get(data[2:end])
    if type_url is None or data[end : end + 1] != _NONCE_FIELD:
        return None
    nonce = data[end + 2 :]
    if len(nonce) > 0x7F or data[end + 1 : end + 2] != bytes((len(nonce),)) or not nonce.isascii():
        return None
    return DeltaRequest(type_url, nonce.decode())


def _read_any_delta_request(data: bytes) -> DeltaRequest:
    fields = _collect(data)
    return DeltaRequest(
        type_url=_text(fields, 2),
        nonce=_text(fields, 6),
        subscribe=_names(fields, 3),
        unsubscribe=_names(fields, 4),
        initial_versions=_versions(fields, 5),
        error=_error(fields, 7),
        node=_message(fields, 1),
    )


def read_sotw_request(data: bytes) -> SotwRequest:
    """An encoded DiscoveryRequest. Raises MalformedRequest."""
    fields = _collect(data)
    return SotwRequest(
        type_url=_text(fields, 4),
        version=_text(fields, 1),
        nonce=_text(fields, 5),
        names=_names(fields, 3),
        error=_error(fields, 6),
        node=_message(fields, 2),
    )


_Fields = Mapping[int, list[bytes]]


def _collect(data: bytes) -> _Fields:
    fields: dict[int, list[bytes]] = {}
    for number, payload in read_delimited(data):
        fields.setdefault(number, []).append(payload)
    return fields


def _text(fields: _Fields, number: int) -> str:
    """Of a repeated singular field the last one counts (protobuf, "Last One Wins")."""
    return read_text(fields[number][-1]) if number in fields else ""


def _message(fields: _Fields, number: int) -> bytes | None:
    """A message that comes in pieces is their concatenation (protobuf, "Last One Wins")."""
    return b"".join(fields[number]) if number in fields else None


def _bounded_name(name: str) -> str:
    if len(name) > MAX_NAME_BYTES or (not name.isascii() and len(name.encode()) > MAX_NAME_BYTES):
        raise MalformedRequest(_TOO_LONG)
    return name


def _repeated(fields: _Fields, number: int) -> list[bytes]:
    payloads = fields.get(number, [])
    if len(payloads) > MAX_NAMES:
        raise MalformedRequest(f"more than {MAX_NAMES} resource names")
    return payloads


def _names(fields: _Fields, number: int) -> tuple[str, ...]:
    payloads = _repeated(fields, number)
    if max(map(len, payloads), default=0) > MAX_NAME_BYTES:
        raise MalformedRequest(_TOO_LONG)
    return tuple(map(read_text, payloads))


def _versions(fields: _Fields, number: int) -> Mapping[str, str]:
    entries = map(read_entry, _repeated(fields, number))
    return {_bounded_name(name): read_text(version) for name, version in entries} or _NO_VERSIONS


def _error(fields: _Fields, number: int) -> RequestError | None:
    """A google.rpc.Status; present and empty is an error too (xDS protocol, "ACK and NACK")."""
    status = _message(fields, number)
    if status is None:
        return None
    code, message = 0, ""
    for field_number, wire_type, integer, payload in read_fields(status):
        match field_number, wire_type:
            case 1, WireType.VARINT:
                code = integer & 0xFFFF_FFFF
            case 2, WireType.LENGTH:
                message = abridged(payload.decode(errors="replace"), MAX_ERROR_CHARACTERS)
    return RequestError(code, message)


def abridged(text: str, limit: int) -> str:
    """The text without its middle if it is longer than ``limit`` characters.

    Envoy writes out a resource that breaks a constraint, and only then says which.
    """
    if len(text) <= limit:
        return text
    tail = limit // 2
    return f"{text[: limit - tail - len(_CUT)]}{_CUT}{text[-tail:]}"


_VERSION, _RESOURCE, _REMOVED = (tag(number, WireType.LENGTH) for number in (1, 2, 6))
_TYPE_URL, _NONCE = (tag(number, WireType.LENGTH) for number in (4, 5))
_RESOURCE_VERSION, _RESOURCE_ANY, _RESOURCE_NAME = _VERSION, _RESOURCE, tag(3, WireType.LENGTH)
_ANY_HEADS = {
    type_url: tag(1, WireType.LENGTH) + delimit(type_url.encode()) + tag(2, WireType.LENGTH)
    for type_url in TypeUrl
}


def delta_response(
    type_url: str, nonce: str, resources: Iterable[Resource], removed: Iterable[str] = ()
) -> bytes:
    """An encoded DeltaDiscoveryResponse; the names in ``removed`` are of the same type."""
    parts: list[bytes] = []
    for resource in resources:
        parts += _versioned(resource)
    parts += (_TYPE_URL, delimit(type_url.encode()))
    for name in removed:
        parts += (_REMOVED, delimit(name.encode()))
    parts += (_NONCE, delimit(nonce.encode()))
    return b"".join(parts)


def sotw_response(type_url: str, nonce: str, version: str, resources: Iterable[Resource]) -> bytes:
    """An encoded DiscoveryResponse; ``version`` names what the client holds once it accepts it."""
    parts = [_VERSION, delimit(version.encode())] if version else []
    for resource in resources:
        head = _any_head(resource)
        parts += (_RESOURCE, varint(len(head) + len(resource.body)), head, resource.body)
    parts += (_TYPE_URL, delimit(type_url.encode()), _NONCE, delimit(nonce.encode()))
    return b"".join(parts)


def _versioned(resource: Resource) -> tuple[bytes, bytes, bytes, bytes]:
    """An element of DeltaDiscoveryResponse.resources: its bytes, with the body not yet copied."""
    body, name, version = resource.body, resource.key.name.encode(), resource.version.encode()
    any_head = _any_head(resource)
    head = b"".join(
        (
            *(_RESOURCE_NAME, varint(len(name)), name),
            *(_RESOURCE_VERSION, varint(len(version)), version),
            *(_RESOURCE_ANY, varint(len(any_head) + len(body)), any_head),
        )
    )
    return _RESOURCE, varint(len(head) + len(body)), head, body


def _any_head(resource: Resource) -> bytes:
    """All of a ``google.protobuf.Any`` but the body at its end."""
    return _ANY_HEADS[resource.key.type_url] + varint(len(resource.body))
