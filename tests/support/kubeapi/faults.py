"""Faults on demand: which requests they hit, and what happens to those."""

import random
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Drop:
    """Cut the connection instead of answering."""


@dataclass(frozen=True)
class Delay:
    """Answer late, by so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Answer:
    """Answer with an error. ``retry_after`` is in seconds, None for no such header."""

    code: int
    reason: str = "InternalError"
    message: str = "scripted"
    retry_after: int | None = None


@dataclass(frozen=True)
class Garbage:
    """Answer 200 with something that is no JSON; a watch sends it as its next line."""


@dataclass(frozen=True)
class CutMidLine:
    """Cut a response in the middle of its body; a watch in the middle of an event.

    ``after`` is how many events of a watch come whole.
    """

    after: int = 0


@dataclass(frozen=True)
class HalfOpen:
    """Never send again, nor close; a watch after so many events."""

    after: int = 0


@dataclass(frozen=True)
class ErrorEvent:
    """Send an ERROR event in a watch after so many events, and end it."""

    code: int = 410
    reason: str = "Expired"
    after: int = 0


Action = Drop | Delay | Answer | Garbage | CutMidLine | HalfOpen | ErrorEvent


@dataclass
class Fault:
    """What happens to some requests.

    ``verb`` is get, list, watch, create, update, patch, delete or deletecollection; ``resource``
    is for example ``pods`` or ``pods/status``; ``*`` is any. ``times`` is how often it happens,
    None for always; each matching request is hit with ``probability``.
    """

    action: Action
    verb: str = "*"
    resource: str = "*"
    times: int | None = 1
    probability: float = 1.0

    def matches(self, verb: str, resource: str) -> bool:
        return self.times != 0 and self.verb in ("*", verb) and self.resource in ("*", resource)


@dataclass
class Faults:
    """The script; the first fault that matches a request happens. ``seed`` makes it repeatable."""

    seed: int = 0
    script: list[Fault] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def add(self, *faults: Fault) -> None:
        self.script.extend(faults)

    def clear(self) -> None:
        self.script.clear()

    def take(self, verb: str, resource: str) -> Action | None:
        """What happens to a request."""
        for fault in self.script:
            if fault.matches(verb, resource) and self._random.random() < fault.probability:
                if fault.times is not None:
                    fault.times -= 1
                return fault.action
        return None
