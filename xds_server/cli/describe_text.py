"""Descriptions for people, as ``kubectl describe`` prints them, and for programs."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

Value = str | int | bool | None | Sequence["Value"] | Mapping[str, "Value"]
"""What a description is made of; a list of mappings with equal keys is a table."""

Facts = dict[str, Value]

_GAP = "  "
_NONE = "<none>"


def as_json(facts: Facts) -> str:
    """A description as one JSON object; its shape is kept."""
    return json.dumps({"apiVersion": "waypost.dev/v1", **facts}, indent=2)


def as_text(facts: Facts) -> str:
    """A description in aligned lines, ``waysIn`` as ``Ways In``."""
    return "\n".join(_lines(facts))


def _lines(facts: Mapping[str, Value]) -> Iterator[str]:
    width = max(len(_title(key)) for key in facts) + len(": ") + 1
    for key, value in facts.items():
        head = f"{_title(key)}:"
        match value:
            case Mapping() if value:
                yield head
                yield from _indented(_lines(value))
            case [Mapping(), *_]:
                yield head
                yield from _indented(_members(value))
            case [first, *rest]:
                yield f"{head:{width}}{first}"
                yield from (f"{'':{width}}{one}" for one in rest)
            case _:
                yield f"{head:{width}}{_scalar(value)}"


def _members(members: Sequence[Value]) -> Iterator[str]:
    rows = [one for one in members if isinstance(one, Mapping)]
    if any(
        isinstance(cell, Sequence | Mapping) and not isinstance(cell, str)
        for row in rows
        for cell in row.values()
    ):
        for row in rows:
            yield from _lines(row)
    else:
        yield from _table(rows)


def _table(rows: Sequence[Mapping[str, Value]]) -> Iterator[str]:
    """A table with underlined headings, its last column as wide as it is."""
    titles = [_title(key) for key in rows[0]]
    cells = [titles, ["-" * len(title) for title in titles]]
    cells += [[_scalar(cell) for cell in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield _GAP.join(map(str.ljust, row, widths)).rstrip()


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"{_GAP}{line}" for line in lines)


def _scalar(value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return _NONE if value is None or value in ("", [], (), {}) else str(value)


def _title(key: str) -> str:
    spelt = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", key)
    return spelt[:1].upper() + spelt[1:]
