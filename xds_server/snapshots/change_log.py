"""What changed since when: lets a stream look at the changed keys alone, however many there are."""

from collections import deque
from collections.abc import Collection

from translators.wire.resource import ResourceKey


class ChangeLog:
    """The keys that changed, by generation. Old generations are dropped beyond ``capacity`` keys.

    A generation is a number that grows by one with every change. A reader keeps the number of the
    generation that it has seen and asks what changed since.
    """

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._entries: deque[frozenset[ResourceKey]] = deque()
        self._kept = 0
        self._generation = 0

    @property
    def generation(self) -> int:
        """The number of the newest generation; 0 before the first change."""
        return self._generation

    def append(self, changed: Collection[ResourceKey] | None) -> None:
        """Begin a generation in which these keys changed; None means that anything may have."""
        self._generation += 1
        if changed is None or len(changed) > self._capacity:
            self._entries.clear()
            self._kept = 0
            return
        self._entries.append(frozenset(changed))
        self._kept += len(changed)
        while self._kept > self._capacity or len(self._entries) > self._capacity:
            self._kept -= len(self._entries.popleft())

    def forget(self, generation: int) -> None:
        """Nobody will ask any more about what changed up to that generation."""
        while self._entries and self._generation - len(self._entries) < generation:
            self._kept -= len(self._entries.popleft())

    def since(self, generation: int | None) -> frozenset[ResourceKey] | None:
        """The keys that changed after ``generation``; None if that is not known any more."""
        if generation is None or generation < self._generation - len(self._entries):
            return None
        missed = self._generation - generation
        return frozenset().union(*(self._entries[-age] for age in range(1, missed + 1)))
