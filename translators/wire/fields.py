"""Reading the protobuf wire format: the fields of one encoded message, bounded by its length."""

from collections.abc import Iterator

from translators.wire.scalar import WireType, tag

_FIXED_SIZES = {WireType.FIXED64: 8, WireType.FIXED32: 4}
_VARINT, _LENGTH = int(WireType.VARINT), int(WireType.LENGTH)
_WIRE_TYPES = {int(each): each for each in WireType}
_Field = tuple[int, WireType, int, bytes]
_SHORT_HEADS = frozenset(tag(number, WireType.LENGTH)[0] for number in range(1, 16))
_LONG = 0x80  # from here on a size takes more than one byte
_KEY, _VALUE = tag(1, WireType.LENGTH)[0], tag(2, WireType.LENGTH)[0]


class MalformedRequest(ValueError):
    """A request that is not protobuf or is out of bounds; the message says how."""


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    if at < len(data) and data[at] < 0x80:
        return data[at], at + 1
    value = shift = 0
    while shift < 64:
        if at >= len(data):
            raise MalformedRequest("the message ends inside a number")
        byte = data[at]
        at += 1
        if byte < 0x80:
            return (value | byte << shift) & 0xFFFF_FFFF_FFFF_FFFF, at
        value |= (byte & 0x7F) << shift
        shift += 7
    raise MalformedRequest("a varint is longer than ten bytes")


def read_fields(data: bytes) -> Iterator[_Field]:
    """Every field in order: number, wire type, value of a varint (else 0), payload (else empty).

    Groups, which xDS never used, are refused. Raises MalformedRequest where the bytes stop making
    sense, after the fields before that place.
    """
    at = 0
    while at < len(data):
        field, at = _read_field(data, at)
        yield field


def _read_field(data: bytes, at: int) -> tuple[_Field, int]:
    """The field that begins there, and where the next one does."""
    head, at = _read_varint(data, at)
    number, wire_type = head >> 3, head & 7
    if number == 0:
        raise MalformedRequest("field number 0")
    if wire_type == _VARINT:
        value, at = _read_varint(data, at)
        return (number, WireType.VARINT, value, b""), at
    if wire_type == _LENGTH:
        size, at = _read_varint(data, at)
    elif wire_type in _FIXED_SIZES:
        size = _FIXED_SIZES[WireType(wire_type)]
    else:
        raise MalformedRequest(f"wire type {wire_type}")
    if size > len(data) - at:
        raise MalformedRequest("the message ends inside a field")
    return (number, _WIRE_TYPES[wire_type], 0, data[at : at + size]), at + size


def read_delimited(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The strings, bytes and messages among the fields: number and payload; others are skipped.

    Nearly all are of less than 128 bytes: those are read at one look.
    """
    at, end = 0, len(data)
    while at < end:
        head, size = data[at], data[at + 1] if at + 1 < end else _LONG
        if head in _SHORT_HEADS and size < _LONG and size <= end - at - 2:
            yield head >> 3, data[at + 2 : at + 2 + size]
            at += 2 + size
            continue
        (number, wire_type, _, payload), at = _read_field(data, at)
        if wire_type is WireType.LENGTH:
            yield number, payload


def read_text(payload: bytes) -> str:
    """A string field. Raises MalformedRequest unless it is UTF-8."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise MalformedRequest("a string is not UTF-8") from None


def read_entry(payload: bytes) -> tuple[str, bytes]:
    """An entry of a map with string keys: the key and the undecoded value, empty by default."""
    key, value = _read_short_entry(payload) or _read_any_entry(payload)
    return read_text(key), value


def _read_short_entry(payload: bytes) -> tuple[bytes, bytes] | None:
    """Nearly all entries are of a key and a value, in this order, of less than 128 bytes each."""
    size = len(payload)
    if size < 2 or payload[0] != _KEY:
        return None
    middle = 2 + payload[1]
    rest = size - middle - 2
    if middle > 0x81 or not 0 <= rest < 0x80:
        return None
    if payload[middle] != _VALUE or payload[middle + 1] != rest:
        return None
    return payload[2:middle], payload[middle + 2 :]


def _read_any_entry(payload: bytes) -> tuple[bytes, bytes]:
    entry = {1: b"", 2: b""}
    entry.update(read_delimited(payload))
    return entry[1], entry[2]
