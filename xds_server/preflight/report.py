"""What was looked at, and what came of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """``WARNING``: it works, but not as well as it could."""

    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that should be so. ``reason`` and ``hint`` say why it isn't, and what to do."""

    description: str
    outcome: Outcome = Outcome.SUCCESS
    reason: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Things that belong together."""

    name: str
    checks: tuple[Check, ...]


def error(description: str, reason: str, hint: str) -> Check:
    """Something that must be put right."""
    return Check(description, Outcome.ERROR, reason, hint)


def warning(description: str, reason: str, hint: str) -> Check:
    """Something that should be known."""
    return Check(description, Outcome.WARNING, reason, hint)


def worst(sections: Iterable[Section]) -> Outcome:
    """The worst outcome of all checks."""
    found = {check.outcome for section in sections for check in section.checks}
    return max(found, key=list(Outcome).index, default=Outcome.SUCCESS)
