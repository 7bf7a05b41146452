"""The objects, and the log of their changes. Objects in the store are never changed in place."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

Object = dict[str, Any]
TypeKey = tuple[str, str]
ObjectName = tuple[str, str]
"""Namespace (empty for cluster-scoped types) and name."""

_KEPT_SNAPSHOTS = 100


@dataclass(frozen=True, slots=True)
class Event:
    """A change. ``type`` is ADDED, MODIFIED or DELETED; ``previous`` is None for the first."""

    version: int
    type: str
    key: TypeKey
    object: Object
    previous: Object | None


class Store:
    """``log_size`` is how many changes are kept for watches; older ones are compacted."""

    def __init__(self, log_size: int = 10_000) -> None:
        self.version = 1000
        self.compacted = self.version
        self._log_size = log_size
        self._log: deque[Event] = deque()
        self._objects: dict[TypeKey, dict[ObjectName, Object]] = {}
        self._snapshots: OrderedDict[str, list[Object]] = OrderedDict()
        self._snapshot_ids = count(1)
        self._changed = asyncio.Event()

    def get(self, key: TypeKey, name: ObjectName) -> Object | None:
        return self._objects.get(key, {}).get(name)

    def all(self, key: TypeKey) -> list[Object]:
        """The objects of a type, by namespace and name."""
        return [item for _, item in sorted(self._objects.get(key, {}).items())]

    def everything(self) -> Iterator[tuple[TypeKey, ObjectName, Object]]:
        for key, objects in list(self._objects.items()):
            for name, item in list(objects.items()):
                yield key, name, item

    def put(self, key: TypeKey, value: Object) -> Object:
        """Store an object under a new resourceVersion; gives it back as stored."""
        name = name_of(value)
        previous = self.get(key, name)
        self.version += 1
        stored = versioned(value, self.version)
        self._objects.setdefault(key, {})[name] = stored
        self._record(
            Event(self.version, "MODIFIED" if previous else "ADDED", key, stored, previous)
        )
        return stored

    def remove(self, key: TypeKey, name: ObjectName) -> Object:
        """Remove an object that exists; gives it back as its DELETED event shows it."""
        previous = self._objects[key].pop(name)
        self.version += 1
        last = versioned(previous, self.version)
        self._record(Event(self.version, "DELETED", key, last, previous))
        return last

    def _record(self, event: Event) -> None:
        self._log.append(event)
        while len(self._log) > self._log_size:
            self.compacted = self._log.popleft().version
        self.wake()

    def wake(self) -> None:
        """Let everyone who waits for a change look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self, seconds: float) -> None:
        """Wait for the next change, for at most so many seconds."""
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return

    def events_after(self, version: int) -> list[Event] | None:
        """The changes after a version; None if some of them are compacted."""
        if version < self.compacted:
            return None
        found: list[Event] = []
        for event in reversed(self._log):
            if event.version <= version:
                break
            found.append(event)
        return found[::-1]

    def compact(self) -> None:
        """Forget all past changes and snapshots, as etcd does every few minutes."""
        self._log.clear()
        self._snapshots.clear()
        self.compacted = self.version

    def restore(self, version: int) -> None:
        """Count on from ``version``, as after a restore from an older backup."""
        self.version = version
        self.compact()

    def keep_snapshot(self, items: list[Object]) -> str:
        """Keep the rest of a list for its next pages; gives its name."""
        name = str(next(self._snapshot_ids))
        self._snapshots[name] = items
        if len(self._snapshots) > _KEPT_SNAPSHOTS:
            self._snapshots.popitem(last=False)
        return name

    def snapshot(self, name: str) -> list[Object] | None:
        return self._snapshots.get(name)


def name_of(value: Object) -> ObjectName:
    return value["metadata"].get("namespace", ""), value["metadata"]["name"]


def versioned(value: Object, version: int) -> Object:
    return {**value, "metadata": {**value["metadata"], "resourceVersion": str(version)}}
