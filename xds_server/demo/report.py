"""What a person reads: one line for each thing that was tried."""

import os
from dataclasses import dataclass

import click

_WIDTHS = (41, 16, 28)
_HEADS = ("STEP", "EXPECTED", "SEEN", "RESULT")


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was tried: what should come of it, what came, and whether that is right."""

    step: str
    expected: str
    seen: str
    ok: bool


def heading() -> str:
    """The line above the rows."""
    return _line(_HEADS[:3], _HEADS[3])


def line(row: Row, colour: bool) -> str:
    """A row as one line of text that ends ``ok`` or ``FAILED``."""
    result = "ok" if row.ok else "FAILED"
    if colour:
        result = click.style(result, fg="green" if row.ok else "red")
    return _line((row.step, row.expected, row.seen), result)


def wants_colour(is_terminal: bool) -> bool:
    """Only a terminal gets colour, and none if the environment has NO_COLOR."""
    return is_terminal and not os.environ.get("NO_COLOR")


def _line(cells: tuple[str, ...], result: str) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True))
    return "   ".join((*padded, result))
