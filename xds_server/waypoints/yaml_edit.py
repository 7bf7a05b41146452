"""Changes one document of a YAML or JSON file and leaves every other byte as it is.

A file is cut at its document markers, so that only the document in question is written anew; its
comments, quotes and order are kept too. A result is always read back: what can't be changed
without changing anything else is refused.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from xds_server.sources.documents import DocumentError, read_documents

Edit = Callable[[Any], None]
"""Changes a document, a mapping, in place. It must do the same to a plain copy of it."""

_MARKER = re.compile(r"---(?:[ \t]*(?:#.*)?)\r?\n?")  # a line of its own
_MARKER_START = re.compile(r"---(?:\s|$)")
_BYTE_ORDER_MARK = "\ufeff"
_ENDLESS = 1 << 20  # characters a line: nothing is folded


class CannotEdit(Exception):
    """The file is written in a way that can't be kept; the text says what it is."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One document as written: ``head`` is its marker line, if it has one."""

    head: str
    body: str

    @property
    def text(self) -> str:
        """The piece as it is in the file."""
        return self.head + self.body


def split(text: str) -> list[Piece]:
    """The documents of a YAML file; together they are the file. Raises ``CannotEdit``.

    A line that starts with ``---`` begins a document wherever it is, in block scalars too (YAML
    1.2, 9.1.2).
    """
    if text.startswith(_BYTE_ORDER_MARK):
        first, *others = split(text[1:])
        return [Piece(_BYTE_ORDER_MARK + first.head, first.body), *others]
    pieces, head, body = list[Piece](), "", list[str]()
    for line in re.findall(r"[^\n]*\n|[^\n]+", text):
        if line.startswith(("%", "...")):
            raise CannotEdit("it has YAML directives or end markers")
        if not _MARKER_START.match(line):
            body.append(line)
            continue
        if not _MARKER.fullmatch(line):
            raise CannotEdit("a document begins on the line of its marker")
        if head or body:
            pieces.append(Piece(head, "".join(body)))
        head, body = line, []
    return [*pieces, Piece(head, "".join(body))]


def value_of(piece: Piece) -> Any:
    """What a piece says, None if nothing. Raises ``CannotEdit``."""
    return _only(piece.body)


def edit_yaml(piece: Piece, edit: Edit) -> Piece:
    """The piece after an edit. Raises ``CannotEdit``."""
    wanted = _only(piece.body)
    edit(wanted)
    if wanted == _only(piece.body):
        return piece
    yaml = _round_trip(piece.body)
    try:
        document = yaml.load(piece.body)
        edit(document)
        out = StringIO()
        yaml.dump(document, out)
    except YAMLError as error:
        raise CannotEdit(f"its YAML can't be kept: {error}") from None
    body = out.getvalue()
    if "\r\n" in piece.body:
        body = body.replace("\r\n", "\n").replace("\n", "\r\n")
    if _only(body) != wanted:
        raise CannotEdit("its YAML can't be kept")
    return Piece(piece.head, body)


def edit_json(text: str, edit: Edit) -> str:
    """A JSON file of one object after an edit."""
    mark = _BYTE_ORDER_MARK if text.startswith(_BYTE_ORDER_MARK) else ""
    written = text.removeprefix(mark)
    value = json.loads(written)
    edit(value)
    if value == json.loads(written):
        return text
    end = "\n" if text.endswith("\n") else ""
    return mark + json.dumps(value, indent=2, ensure_ascii=False) + end


def insert_first(mapping: Any, key: str, value: Any) -> None:
    """Set a key: where it is, else in front, where no comment that follows the last is torn off."""
    if key in mapping or not hasattr(mapping, "insert"):
        mapping[key] = value
    else:
        mapping.insert(0, key, value)


def _only(body: str) -> Any:
    try:
        found = read_documents(body.encode())
    except DocumentError as error:
        raise CannotEdit(f"it {error.reason}") from None
    return found[0].value if found else None


def _round_trip(body: str) -> YAML:
    """A reader and writer in the indentation of a text."""
    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = _ENDLESS
    step, offset = _indentation(body)
    yaml.indent(mapping=step, sequence=offset + 2, offset=offset)
    return yaml


def _indentation(body: str) -> tuple[int, int]:
    """By how much mappings and the dashes of lists are indented below their keys."""
    lines = [line for line in body.splitlines() if line.strip() and not _is_comment(line)]
    steps = list(_steps(lines))
    mapping = next((step for step, is_list in steps if not is_list and step > 0), 2)
    return mapping, next((step for step, is_list in steps if is_list), 0)


def _steps(lines: list[str]) -> Iterator[tuple[int, bool]]:
    """Of each key whose value is below it: by how much that is indented, and if it is a list."""
    for line, below in pairwise(lines):
        if re.fullmatch(r" *[^\s#-][^#]*: *(?:#.*)?", line.rstrip()):
            yield _depth(below) - _depth(line), below.lstrip().startswith("- ")


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")
