"""What is wrong with a part of a route."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Subject(StrEnum):
    """What the trouble is about; it decides which condition tells of it."""

    VALUE = "value"  # the route says something that can't be done: Accepted, PartiallyInvalid
    REFERENCE = "reference"  # the route names something that isn't there: ResolvedRefs


@dataclass(frozen=True, slots=True, order=True)
class Issue:
    """One thing that is wrong: where (a field path below the route), and a condition's reason."""

    path: str
    subject: Subject
    reason: str
    message: str

    def below(self, path: str) -> "Issue":
        """The same issue, seen from an outer field."""
        return Issue(f"{path}.{self.path}", self.subject, self.reason, self.message)


def unusable(path: str, message: str) -> Issue:
    """The value of a field can't be used."""
    return Issue(path, Subject.VALUE, "UnsupportedValue", message)


def check(path: str, message: str, *, holds: bool) -> Iterator[Issue]:
    """Nothing if it holds, else the issue."""
    if not holds:
        yield unusable(path, message)
