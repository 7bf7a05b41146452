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

from translators.wire.construction import what_is_made
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
    made: dict[tuple[Any, ...], Callable[..., _Built]] = {}
    given = kinds(build)
    count = sum(map(_is_slot, given))
    one_layout = count == len(given)

    @wraps(build)
    def part(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Built:
        if what_is_made() is not encoded:
            return build(*args, **kwargs)
        slots, layout = (args, ()) if one_layout else (args[:count], args[count:])
        splice = made.get(layout)
        if splice is None:
            if len(made) >= _LIMIT:
                made.clear()
            splice = made[layout] = _splicer(build, layout)
        return splice(*slots)

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
_Level = tuple[bytes, int]


def _splicer(build: Callable[..., Message], layout: tuple[Any, ...]) -> Callable[..., Any]:
    """A function that gives what ``build`` does for the same arguments, written out."""
    slots = [kind for kind in kinds(build) if _is_slot(kind)]
    marks = (_marked(kind, _MARK.format(at)) for at, kind in enumerate(slots))
    message = build(*marks, *layout)
    openings: list[_Opening] = []
    lines, terms, rest, _ = _lay_out(_pieces(encode(message), class_of(message)), openings)
    terms += (rest,) if rest else ()
    known: dict[str, Any] = {
        "build": lambda *given: build(*given, *layout),
        "part": part_class_of(class_of(message)),
        "join": b"".join,
        "k": [term for term in terms if isinstance(term, bytes)],
        "o": openings,
        "p": [None if kind is str else part_class_of(kind) for kind in slots],
    }
    # Of our own making: no argument and no text of anybody's is in it.
    exec(_source(slots, lines, terms, len(openings)), known)  # noqa: S102
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


def _source(
    slots: list[type[Any]], lines: list[str], terms: list[bytes | str], openings: int
) -> str:
    """The text of a function that joins the terms, of which ``lines`` make the openings.

    It is given constants and classes as the defaults of arguments: nothing is found faster.
    """
    names = [f"a{at}" for at in range(len(slots))]
    texts = [name for name, kind in zip(names, slots, strict=True) if kind is str]
    classes = [f"p{at}" for at, kind in enumerate(slots) if kind is not str]
    constants = [f"k{at}" for at in range(sum(isinstance(term, bytes) for term in terms))]
    numbered = iter(constants)
    joined = [next(numbered) if isinstance(term, bytes) else term for term in terms]
    opened = [f"o{at}" for at in range(openings)]
    known = [f"{name}={name[0]}[{name[1:]}]" for name in (*classes, *constants, *opened)]
    usable = [*texts, *(f"type(a{name[1:]}) is {name}" for name in classes)]
    body = [
        f"if not ({' and '.join(usable)}):",
        f"    return build({', '.join(names)})",
        *(f"{name} = {name}.encode()" for name in texts),
        *lines,
        f"return part(join(({', '.join(joined)},)))",
    ]
    head = f"def splice({', '.join((*names, *known, 'part=part', 'join=join'))}):"
    return "\n    ".join((head, *body))


class _Opening(dict[int, bytes]):
    """What stands before that which varies in messages within each other, by its length.

    ``levels`` are the messages from the outermost to the innermost: what comes before the length
    of each, and how many constant bytes end it.
    """

    def __init__(self, levels: list[_Level]) -> None:
        super().__init__()
        self._levels = levels

    def __missing__(self, size: int) -> bytes:
        made, inside = b"", size
        for before, behind in reversed(self._levels):
            head = before + varint(inside + behind)
            made, inside = head + made, inside + behind + len(head)
        return self.setdefault(size, made) if len(self) < _LIMIT else made


class _Laid(NamedTuple):
    """Pieces laid out: constants and names one after the other, and how long they are together.

    ``lines`` give the names their values. The constant at the end is left over, as ``rest``.
    """

    lines: list[str]
    terms: list[bytes | str]
    rest: bytes
    length: str


def _lay_out(pieces: Iterable[_Piece], openings: list[_Opening]) -> _Laid:
    lines: list[str] = []
    terms: list[bytes | str] = []
    lengths: list[str] = []
    before = b""
    for piece in pieces:
        match piece:
            case bytes():
                before += piece
            case _Slot(position):
                if before:
                    terms.append(before)
                    lengths.append(str(len(before)))
                terms.append(f"a{position}")
                lengths.append(f"len(a{position})")
                before = b""
            case _Delimited(inner):
                levels, content, behind = _nested(before, inner)
                below = _lay_out(content, openings)
                opened, size = f"o{len(openings)}", f"size{len(openings)}"
                openings.append(_Opening(levels))
                lines += (*below.lines, f"{size} = {below.length}", f"{opened} = {opened}[{size}]")
                terms += (opened, *below.terms)
                lengths += (f"len({opened})", size)
                before = behind
    return _Laid(lines, terms, before, " + ".join(lengths))


def _nested(
    before: bytes, pieces: tuple[_Piece, ...]
) -> tuple[list[_Level], tuple[_Piece, ...], bytes]:
    """A message, and what is in it as long as that is one message besides constants: their levels.

    The other results are what varies in the innermost of them, and what comes behind it.
    """
    levels: list[_Level] = []
    behind = b""
    while True:
        last = max(at for at, piece in enumerate(pieces) if not isinstance(piece, bytes))
        end = _constant(pieces[last + 1 :])
        levels.append((before, len(end)))
        behind = end + behind
        lead, inner = pieces[:last], pieces[last]
        if not isinstance(inner, _Delimited) or not all(isinstance(each, bytes) for each in lead):
            return levels, (*lead, inner), behind
        before, pieces = _constant(lead), inner.pieces


def _constant(pieces: Iterable[_Piece]) -> bytes:
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


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
