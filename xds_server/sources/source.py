"""What all sources have in common."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from translators.resources.metadata import ObjectKey
from translators.world import Change

Sink = Callable[[Sequence[Change]], None]

Check = Callable[[object], Iterable[tuple[str, str]]]
"""What an API server would refuse in a manifest: fields (empty: the whole), and the reasons."""


def unchecked(_manifest: object) -> tuple[()]:
    """A ``Check`` that refuses nothing."""
    return ()


@dataclass(frozen=True, slots=True)
class SourceProblem:
    """Something that a source could not take as it is.

    ``file`` is relative to the source (a path, or a name such as ``<stdin>``), ``line`` counts
    from 1 and is 0 if unknown, ``object`` is None if its name could not be read, ``path`` is a
    field of it, empty for the whole.
    """

    file: str
    line: int
    object: ObjectKey | None
    path: str
    reason: str
    fix: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        owner = ""
        if self.object is not None:
            name = "/".join(filter(None, (self.object.namespace, self.object.name)))
            owner = f" {self.object.kind} {name}"
        field = f" {self.path}" if self.path else ""
        return f"{place}:{owner}{field} {self.reason}. {self.fix}".rstrip()


class SourceError(Exception):
    """A source can't be used at all."""


class Source(Protocol):
    """Objects that come from elsewhere and change there."""

    async def run(self, sink: Sink, synced: Callable[[], None]) -> None:
        """Feed the sink until cancelled.

        First all objects there are, in one or more batches, then ``synced`` once, then every
        change. Both are called in the event loop. An object equal to the one before may come
        again; the last good version of an object that went bad stays. A batch is empty if only
        ``problems`` has another answer now. May raise ``SourceError`` at its start.
        """
        ...

    def problems(self) -> Sequence[SourceProblem]:
        """What is wrong at present, in the order of files and lines."""
        ...

    def ages(self) -> Mapping[str, float | None]:
        """Seconds since each part of what was given was last known to be up to date.

        None for a part that was never read; a source that always knows names no parts.
        """
        ...
