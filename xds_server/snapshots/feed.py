"""A stream's view of the store: the latest snapshot, and what changed since it last looked."""

from collections.abc import Callable
from dataclasses import dataclass, field

from translators.wire.resource import ResourceKey
from translators.wire.snapshot import Snapshot
from xds_server.snapshots.change_log import ChangeLog


@dataclass(frozen=True, slots=True)
class Update:
    """Serve this snapshot; only ``changed`` differs from the last one taken, None = anything."""

    snapshot: Snapshot
    changed: frozenset[ResourceKey] | None


@dataclass(slots=True, eq=False)
class Served:
    """What the Envoys of one ProxyKey are meant to get, and who wants to hear of changes.

    ``wanted`` is what was published, ``snapshot`` is that with refused content replaced. Both are
    None until the first publication: then streams hold their answers and tell nobody "removed".
    """

    wanted: Snapshot | None = None
    snapshot: Snapshot | None = None
    log: ChangeLog = field(default_factory=ChangeLog)
    wakers: list[Callable[[], None]] = field(default_factory=list)

    def change(self, snapshot: Snapshot, changed: frozenset[ResourceKey] | None) -> None:
        """Serve this from now on and wake everybody who follows."""
        self.snapshot = snapshot
        self.log.append(changed)
        for wake in self.wakers:
            wake()


class Feed:
    """Follows one ProxyKey. ``wake`` is called after each change and must not block or raise.

    Level-triggered: however many changes a slow reader misses, ``take`` gives the latest state.
    """

    def __init__(self, served: Served, wake: Callable[[], None]) -> None:
        self._served = served
        self._wake = wake
        self._seen: int | None = None
        served.wakers.append(wake)

    @property
    def snapshot(self) -> Snapshot | None:
        """What is served now; None as long as nothing has been published."""
        return self._served.snapshot

    def take(self) -> Update | None:
        """The latest snapshot if there is news since the last call, else None."""
        snapshot, log = self._served.snapshot, self._served.log
        if snapshot is None or self._seen == log.generation:
            return None
        changed = log.since(self._seen)
        self._seen = log.generation
        return Update(snapshot, changed)

    def close(self) -> None:
        """Hear no more of it."""
        self._served.wakers.remove(self._wake)
