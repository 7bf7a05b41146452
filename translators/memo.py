"""Remembers what pure functions of the world gave, until something that they read changes."""

from collections.abc import Callable, Hashable, Iterable, Set
from typing import Generic, TypeVar

from translators.world import Derived, Question, Reader, World

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memo(Generic[K, V]):
    """A function ``(Reader, key) -> value`` whose values are kept by key.

    The function must be pure: its value depends on the key and on what it reads, nothing else.
    Values that other values are made from need a ``name``.
    """

    def __init__(self, world: World, function: Callable[[Reader, K], V], name: str = "") -> None:
        self._name = name
        self._world = world
        self._function = function
        self._values: dict[K, V] = {}
        self._questions: dict[K, tuple[Question, ...]] = {}
        # Most questions are asked for one key alone, and a set for it would take 200 bytes.
        self._dependents: dict[Question, K | set[K]] = {}

    def __len__(self) -> int:
        return len(self._values)

    def __call__(self, key: K) -> V:
        """The value for a key, computed if it is not known."""
        try:
            return self._values[key]
        except KeyError:
            return self._compute(key)

    def recall(self, reader: Reader, key: K) -> V:
        """The value for a key, noted as a question that was asked through the reader."""
        reader.questions.add(Derived(self._name, key))
        return self(key)

    def questions_about(self, keys: Iterable[K]) -> set[Question]:
        """The questions that ``recall`` notes for these keys."""
        return {Derived(self._name, key) for key in keys}

    def _compute(self, key: K) -> V:
        reader = Reader(self._world)
        value = self._function(reader, key)
        self._values[key] = value
        self._questions[key] = tuple(reader.questions)
        for question in reader.questions:
            others = self._dependents.setdefault(question, key)
            if isinstance(others, set):
                others.add(key)
            elif others is not key:
                self._dependents[question] = {others, key}
        return value

    def invalidate(self, touched: Set[Question]) -> set[K]:
        """Forget every value that asked one of these questions; the result is their keys."""
        stale: set[K] = set()
        for question in self._dependents.keys() & touched:
            found = self._dependents[question]
            stale.update(found if isinstance(found, set) else (found,))
        for key in stale:
            self.forget(key)
        return stale

    def forget(self, key: K) -> None:
        """Drop a value that is not needed any more; a key that is not known is fine."""
        self._values.pop(key, None)
        for question in self._questions.pop(key, ()):
            left = self._dependents.pop(question)
            if isinstance(left, set) and len(left) > 1:
                left.remove(key)
                self._dependents[question] = left
