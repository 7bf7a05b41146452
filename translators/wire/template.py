"""Parts of messages that differ in a few texts: laid out once, then spliced.

    @template
    def identity(text: str) -> FilterStateMatcher:
        return FilterStateMatcher(key="peer", string_match=StringMatcher(exact=text))

The first call builds the message with marks in place of its arguments, and takes its bytes apart
at the marks. Every later call puts arguments there, and counts the lengths around them.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast, get_args, get_type_hints

from betterproto2 import TYPE_MESSAGE, Message
from envoy_data_plane.google.protobuf import Any as AnyMessage
from envoy_data_plane.message_pool import default_message_pool

from translators.wire.construction import is_making
from translators.wire.encoder import class_of, encode, encoded, part_class_of
from translators.wire.fields import read_delimited, read_fields, read_text
from translators.wire.scalar import WireType, delimit, tag, varint
from translators.wire.schema import member_class, proto_fields

_Arguments = ParamSpec("_Arguments")
_Built = TypeVar("_Built", bound=Message)

_LIMIT = 1024

_MARK = "\ue000{}\ue001"  # of a private use: no text has it
_MARKS = re.compile("\ue000([0-9]+)\ue001".encode())

templates: list[Callable[..., Any]] = []
"""Every builder that is a template."""


def template(build: Callable[_Arguments, _Built]) -> Callable[_Arguments, _Built]:
    """A builder whose message is laid out the same whatever texts and messages it is given.

    The builder takes positional arguments only: first texts (annotated ``str``) and messages, which
    it may put into fields and into longer texts, but not look at; then whatever decides about the
    layout, which must be hashable. It is called as it stands outside of ``encoding()``, and
    whenever a text is empty or a message not there, for such are left out.
    """
    made: dict[tuple[Any, ...], Callable[..., Any]] = {}
    count = sum(map(_is_slot, kinds(build)))

    @wraps(build)
    def part(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Built:
        if not is_making(encoded):
            return build(*args, **kwargs)
        layout = args[count:]
        splice = made.get(layout)
        if splice is None:
            if len(made) >= _LIMIT:
                made.clear()
            splice = made[layout] = _splicer(build, layout)
        return cast(_Built, splice(*args[:count]))

    templates.append(part)
    return part


class _Slot(NamedTuple):
    """The place of an argument, by its position."""

    position: int


class _Delimited(NamedTuple):
    """Pieces with their length before them."""

    pieces: "tuple[_Piece, ...]"


class _Entry(NamedTuple):
    """An entry of a map, or a message around a plain value: at number 2 there is a message."""

    value: type[Message] | None


_Piece = bytes | _Slot | _Delimited
_Kind = type[Message] | _Entry


def _splicer(build: Callable[..., Message], layout: tuple[Any, ...]) -> Callable[..., Any]:
    """A function that gives what ``build`` does for the same arguments, written out."""
    slots = [kind for kind in kinds(build) if _is_slot(kind)]
    marks = (_marked(kind, _MARK.format(at)) for at, kind in enumerate(slots))
    message = build(*marks, *layout)
    pieces = tuple(_pieces(encode(message), class_of(message)))
    known: dict[str, Any] = {
        "build": lambda *given: build(*given, *layout),
        "part": part_class_of(class_of(message)),
        "delimit": delimit,
        "join": b"".join,
    }
    known |= {f"p{at}": part_class_of(kind) for at, kind in enumerate(slots) if kind is not str}
    exec(_source(slots, pieces, known), known)  # noqa: S102 - of our own making, no text is in it
    return cast(Callable[..., Any], known["splice"])


def kinds(build: Callable[..., Message]) -> list[Any]:
    """The types of a builder's arguments; of what may be None, the other type."""
    hints = get_type_hints(build)
    given = [hints[name] for name in inspect.signature(build).parameters]
    return [next((one for one in get_args(hint) if one is not type(None)), hint) for hint in given]


def _is_slot(kind: Any) -> bool:
    return kind is str or (isinstance(kind, type) and issubclass(kind, Message))


def _marked(kind: type[Any], mark: str) -> Any:
    return mark if kind is str else part_class_of(kind)(mark.encode())


def _source(kinds: list[type[Any]], pieces: tuple[_Piece, ...], known: dict[str, Any]) -> str:
    names = [f"a{at}" for at in range(len(kinds))]
    usable = [
        name if kind is str else f"type({name}) is p{at}"
        for at, (name, kind) in enumerate(zip(names, kinds, strict=True))
    ]
    lines = [
        f"def splice({', '.join(names)}):",
        f"    if not ({' and '.join(usable)}):",
        f"        return build({', '.join(names)})",
        *(
            f"    {name} = {name}.encode()"
            for name, kind in zip(names, kinds, strict=True)
            if kind is str
        ),
        f"    return part({_expression(pieces, known)})",
    ]
    return "\n".join(lines)


def _expression(pieces: Iterable[_Piece], known: dict[str, Any]) -> str:
    terms = []
    for piece in _merged(pieces):
        match piece:
            case bytes():
                name = f"k{len(known)}"
                known[name] = piece
                terms.append(name)
            case _Slot(position):
                terms.append(f"a{position}")
            case _Delimited(inner):
                terms.append(f"delimit({_expression(inner, known)})")
    return f"join(({', '.join(terms)},))" if len(terms) != 1 else terms[0]


def _merged(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """The pieces, with constant ones next to each other made one."""
    constant = b""
    for piece in pieces:
        if isinstance(piece, bytes):
            constant += piece
            continue
        if constant:
            yield constant
        constant = b""
        yield piece
    if constant:
        yield constant


def _pieces(data: bytes, kind: _Kind) -> Iterator[_Piece]:
    """An encoded message, taken apart where marks are."""
    for number, wire_type, value, payload in read_fields(data):
        yield tag(number, wire_type)
        if wire_type is not WireType.LENGTH:
            yield varint(value) if wire_type is WireType.VARINT else payload
        elif not _MARKS.search(payload):
            yield delimit(payload)
        else:
            inner = None if _MARKS.fullmatch(payload) else _kind_in(kind, number, data)
            yield _Delimited(tuple(_text(payload) if inner is None else _pieces(payload, inner)))


def _kind_in(kind: _Kind, number: int, data: bytes) -> _Kind | None:
    """What a field of an encoded message holds; None for a text."""
    if isinstance(kind, _Entry):
        return kind.value if number == 2 else None
    if kind is AnyMessage:
        url = read_text(dict(read_delimited(data))[1])
        return default_message_pool.url_to_type[url] if number == 2 else None
    fields = proto_fields(kind)
    name = next(name for name, field in fields.items() if field.number == number)
    field = fields[name]
    if field.map_meta is not None:
        holds_messages = field.map_meta[1].proto_type == TYPE_MESSAGE
        return _Entry(member_class(kind, name) if holds_messages else None)
    if field.unwrap is not None:
        return _Entry(None)
    return member_class(kind, name) if field.proto_type == TYPE_MESSAGE else None


def _text(payload: bytes) -> Iterator[_Piece]:
    for index, text in enumerate(_MARKS.split(payload)):
        yield _Slot(int(text)) if index % 2 else text
