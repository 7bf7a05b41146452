"""betterproto2 messages to bytes, without betterproto2.

``bytes(message)`` compiles a validator for every sub-message on every call, which is a thousand
times slower than the encoding itself. The encoder here gives the same bytes: fields in the order
of their declaration, maps in the order of insertion, unknown fields last. It is driven by the
metadata that the generated classes carry; what it learns about a class it keeps.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from betterproto2 import PACKED_TYPES, TYPE_MESSAGE, FieldMetadata, Message

from translators.wire.construction import making, unknown_fields
from translators.wire.scalar import PAYLOADS, Payload, WireType, delimit, tag
from translators.wire.schema import member_class, proto_fields


class Part(bytes):
    """An encoded message, in a place where a message of ``message_class`` is asked for."""

    __slots__ = ()

    message_class: ClassVar[type[Message]]

    def __bool__(self) -> bool:
        """Always: an empty message is present too."""
        return True


def encoding() -> AbstractContextManager[None]:
    """Within the block, calling a message class with keyword arguments encodes at once.

    What the call gives has no fields that could be read or set: all it can be is a field of the
    next message, and in the end an argument of ``encode``. Messages that were built outside may
    be parts of it too.
    """
    return making(encoded)


def encoded(message_class: type[Message], values: dict[str, Any]) -> Part:
    """A message with these fields, encoded. Raises as ``encode`` does."""
    layouts = _LAYOUTS[message_class]
    return layouts.part_class(_join(layouts, message_class, values))


def class_of(message: Message) -> type[Message]:
    """The class of a message, be it encoded already."""
    known: type[Message] = getattr(type(message), "message_class", type(message))
    return known


def part_class_of(message_class: type[Message]) -> type[Part]:
    """What calling a message class gives while ``encoding()``."""
    return _LAYOUTS[message_class].part_class


def encode(message: Message) -> bytes:
    """The bytes of a message, equal to ``bytes(message)``; sparse instances are welcome.

    Raises ``TypeError``, ``ValueError``, ``AttributeError`` or ``struct.error`` for a value that
    its field can't hold, and ``ValueError`` if two members of a oneof are set: each is an error
    of the caller, not of the input.
    """
    if isinstance(message, bytes):
        return bytes(message)
    return _join(_LAYOUTS[type(message)], type(message), message.__dict__)


def _join(
    layouts: "_ClassLayouts", message_class: type[Message], values: Mapping[str, Any]
) -> bytes:
    steps, contested = layouts[tuple(values)]
    for members in contested:
        _expect_one_member(message_class, values, members)
    parts = []
    for name, implicit, write in steps:
        value = values[name]
        # `implicit` comes first: the truth of a message is costly, and is not its presence.
        if value is None or (implicit and not value):
            continue
        parts.append(write(value))
    return b"".join(parts)


class _Step(NamedTuple):
    """Writes one field. With implicit presence, a value of zero or emptiness is not written."""

    name: str
    implicit: bool
    write: Payload


class _Layout(NamedTuple):
    """How to encode the instances that hold one particular set of fields.

    ``contested`` are the oneofs of which more than one member is in that set.
    """

    steps: tuple[_Step, ...]
    contested: tuple[tuple[str, ...], ...]


class _ClassLayouts(dict[tuple[str, ...], _Layout]):
    """The layouts of one message class, by the names in an instance's ``__dict__``, in order.

    Code that builds a message names the same fields each time, so there are few of them. Should
    that ever be false, the oldest ones make room.
    """

    _LIMIT = 1024

    def __init__(self, message_class: type[Message]) -> None:
        super().__init__()
        self.part_class: type[Part] = type(
            f"Encoded{message_class.__name__}",
            (Part,),
            {"__slots__": (), "message_class": message_class},
        )
        self._class = message_class
        self._fields = proto_fields(message_class)
        self._steps: dict[str, _Step] = {}
        # Fields of a newer API version than ours, as they came from a parser.
        self._unknown = _Step("_unknown_fields", True, bytes)

    def __missing__(self, names: tuple[str, ...]) -> _Layout:
        if len(self) >= self._LIMIT:
            self.pop(next(iter(self)))
        known = [name for name in self._fields if name in names]
        steps = [self._step(name) for name in known]
        if self._unknown.name in names:
            steps.append(self._unknown)
        if len(steps) < len(names):
            raise unknown_fields(self._class, names)
        groups: dict[str, list[str]] = {}
        for name in known:
            if group := self._fields[name].group:
                groups.setdefault(group, []).append(name)
        contested = tuple(tuple(members) for members in groups.values() if len(members) > 1)
        return self.setdefault(names, _Layout(tuple(steps), contested))

    def _step(self, name: str) -> _Step:
        if name not in self._steps:
            field = self._fields[name]
            explicit = field.optional or field.group or field.proto_type == TYPE_MESSAGE
            implicit = not explicit or bool(field.repeated)
            self._steps[name] = _Step(name, implicit, _writer(self._class, name, field))
        return self._steps[name]


class _Layouts(dict[type[Message], _ClassLayouts]):
    """The layouts of every message class met so far."""

    def __missing__(self, message_class: type[Message]) -> _ClassLayouts:
        return self.setdefault(message_class, _ClassLayouts(message_class))


_LAYOUTS = _Layouts()


def _expect_one_member(
    message_class: type[Message], values: Mapping[str, Any], members: Sequence[str]
) -> None:
    present = [name for name in members if values[name] is not None]
    if len(present) > 1:
        raise ValueError(f"{message_class.__name__} has {' and '.join(present)} of one oneof")


def _writer(message_class: type[Message], name: str, field: FieldMetadata) -> Payload:
    """The function that gives a field's bytes, tags included, for a value that is present."""
    if field.map_meta is not None:
        return _map_writer(message_class, name, field.number, *field.map_meta)
    if field.repeated and field.proto_type in PACKED_TYPES:
        return _packed_writer(field)
    write = _item_writer(message_class, name, field)
    return _repeated_writer(write) if field.repeated else write


def _item_writer(message_class: type[Message], name: str, field: FieldMetadata) -> Payload:
    """The function that gives the bytes of one value of a field, tag included."""
    if field.unwrap is not None:
        return _wrapper_writer(field.number, field.unwrap())
    if field.proto_type == TYPE_MESSAGE:
        return _message_writer(message_class, name, field.number)
    wire_type, payload = PAYLOADS[field.proto_type]
    prefix = tag(field.number, wire_type)
    return lambda value: prefix + payload(value)


def _repeated_writer(write: Payload) -> Payload:
    return lambda values: b"".join(map(write, values))


def _packed_writer(field: FieldMetadata) -> Payload:
    prefix = tag(field.number, WireType.LENGTH)
    _, payload = PAYLOADS[field.proto_type]
    return lambda values: prefix + delimit(b"".join(map(payload, values)))


def _map_writer(
    message_class: type[Message], name: str, number: int, key: FieldMetadata, value: FieldMetadata
) -> Payload:
    """A map is a repeated message of a key (1) and a value (2), both always written."""
    prefix = tag(number, WireType.LENGTH)
    write_key = _item_writer(message_class, name, key)
    write_value = _item_writer(message_class, name, value)

    def write(entries: Mapping[Any, Any]) -> bytes:
        return b"".join(
            [
                prefix + delimit(write_key(key) + write_value(value))
                for key, value in entries.items()
            ]
        )

    return write


def _message_writer(message_class: type[Message], name: str, number: int) -> Payload:
    prefix = tag(number, WireType.LENGTH)
    expected = member_class(message_class, name)
    layouts = _LAYOUTS[expected]
    expected_part = layouts.part_class

    def write(value: Message) -> bytes:
        found: type[Any] = type(value)
        if found is expected_part:
            return prefix + delimit(bytes(value))
        if found is not expected:
            raise TypeError(
                f"{message_class.__name__}.{name} takes {expected.__name__}, not {found.__name__}"
            )
        return prefix + delimit(_join(layouts, expected, value.__dict__))

    return write


def _wrapper_writer(number: int, wrapper: type[Message]) -> Payload:
    """For a well-known type that the classes show as a plain Python value."""
    prefix = tag(number, WireType.LENGTH)
    if field := proto_fields(wrapper).get("value"):
        write_value = _writer(wrapper, "value", field)
        return lambda value: prefix + delimit(write_value(value) if value else b"")

    # Duration and Timestamp: timeouts are few, and converting one is not cheap.
    @lru_cache(maxsize=1024)
    def write(value: Any) -> bytes:
        return prefix + delimit(encode(wrapper.from_wrapped(value)))  # type: ignore[attr-defined]

    return write
