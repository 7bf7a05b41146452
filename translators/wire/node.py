"""The Node of a client: who it says it is. Read once a stream; its claims are checked elsewhere.

Field numbers: envoy/config/core/v3/base.proto and google/protobuf/struct.proto. Read by hand
because Envoy lists some 500 extensions in its Node, and a full parse would build them all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from struct import unpack
from types import MappingProxyType
from typing import TypeAlias, Union

from translators.wire.fields import (
    MalformedRequest,
    read_delimited,
    read_entry,
    read_fields,
    read_text,
)
from translators.wire.scalar import WireType

MAX_DEPTH = 32
"""Nesting of metadata; Istio's is two or three levels deep."""

JsonValue: TypeAlias = Union[bool, float, str, "list[JsonValue]", "dict[str, JsonValue]", None]


@dataclass(frozen=True, slots=True)
class Node:
    """What a client says of itself; every field may be empty.

    ``user_agent_version`` is ``1.40.0`` for an Envoy of that version; ``region`` and ``zone`` are
    its locality.
    """

    id: str = ""
    cluster: str = ""
    metadata: Mapping[str, JsonValue] = field(default_factory=lambda: MappingProxyType({}))
    user_agent_name: str = ""
    user_agent_version: str = ""
    region: str = ""
    zone: str = ""


def parse_node(data: bytes) -> Node:
    """An encoded Node. Unknown fields are skipped. Raises MalformedRequest."""
    texts: dict[int, str] = {}
    metadata: dict[str, JsonValue] = {}
    version = ""
    place = {1: "", 2: ""}
    for number, payload in read_delimited(data):
        match number:
            case 1 | 2 | 6:
                texts[number] = read_text(payload)
            case 3:
                metadata.update(_struct(payload, MAX_DEPTH))
            case 4:
                place |= {n: read_text(part) for n, part in read_delimited(payload) if n in place}
            case 7:
                version = read_text(payload)
            case 8:
                version = _build_version(payload)
    return Node(
        id=texts.get(1, ""),
        cluster=texts.get(2, ""),
        metadata=metadata,
        user_agent_name=texts.get(6, ""),
        user_agent_version=version,
        region=place[1],
        zone=place[2],
    )


def _build_version(data: bytes) -> str:
    """A BuildVersion: its semantic version as ``major.minor.patch``."""
    parts = {1: 0, 2: 0, 3: 0}
    for number, semantic_version in read_delimited(data):
        if number == 1:
            parts |= {n: value for n, _, value, _ in read_fields(semantic_version) if n in parts}
    return ".".join(map(str, parts.values()))


def _struct(data: bytes, depth: int) -> dict[str, JsonValue]:
    entries = (read_entry(payload) for number, payload in read_delimited(data) if number == 1)
    return {key: _value(value, depth) for key, value in entries}


def _list(data: bytes, depth: int) -> list[JsonValue]:
    return [_value(payload, depth) for number, payload in read_delimited(data) if number == 1]


def _value(data: bytes, depth: int) -> JsonValue:
    """A google.protobuf.Value; of several members of its oneof the last one counts."""
    if depth == 0:
        raise MalformedRequest(f"metadata is nested more than {MAX_DEPTH} levels deep")
    result: JsonValue = None
    for number, wire_type, integer, payload in read_fields(data):
        match number, wire_type:
            case 1, WireType.VARINT:
                result = None
            case 2, WireType.FIXED64:
                (result,) = unpack("<d", payload)
            case 3, WireType.LENGTH:
                result = read_text(payload)
            case 4, WireType.VARINT:
                result = bool(integer)
            case 5, WireType.LENGTH:
                result = _struct(payload, depth - 1)
            case 6, WireType.LENGTH:
                result = _list(payload, depth - 1)
    return result
