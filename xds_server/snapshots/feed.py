"""A stream's view of the store: the latest snapshot, and what changed since it last looked."""

from collections.abc import Callable
from dataclasses import dataclass, field

from translators.wire.resource import ResourceKey
from translators.wire.snapshot import Snapshot
from xds_server.snapshots.change_log import ChangeLog
from xds_server.snapshots.proxy_key import ProxyKey


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
    feeds: "list[Feed]" = field(default_factory=list)

    def change(self, snapshot: Snapshot, changed: frozenset[ResourceKey] | None) -> None:
        """Serve this from now on and wake everybody who follows."""
        self.snapshot = snapshot
        seen = (feed.seen for feed in self.feeds if feed.seen is not None)
        self.log.forget(min(seen, default=self.log.generation))
        self.log.append(changed)
        for feed in self.feeds:
            feed.wake()


class Feed:
    """Follows one ProxyKey. ``wake`` is called after each change and must not block or raise.

    Level-triggered: however many changes a slow reader misses, ``take`` gives the latest state.
    ``proxy`` is who follows, ``key`` with whom it shares what it gets: the store may lead it to
    another one when more or less of a proxy's place counts. ``seen`` is the generation of its log
    that was taken last, None if nothing was.
    """

    def __init__(self, proxy: ProxyKey, wake: Callable[[], None]) -> None:
        self.proxy = proxy
        self.key = proxy
        self.wake = wake
        self._served = Served()
        self.seen: int | None = None

    def follow(self, key: ProxyKey, served: Served) -> None:
        """Follow this one from now on; until it is published, there is nothing to be had."""
        self.key, self._served, self.seen = key, served, None
        served.feeds.append(self)

    @property
    def snapshot(self) -> Snapshot | None:
        """What is served now; None as long as nothing has been published."""
        return self._served.snapshot

    def take(self) -> Update | None:
        """The latest snapshot if there is news since the last call, else None."""
        snapshot, log = self._served.snapshot, self._served.log
        if snapshot is None or self.seen == log.generation:
            return None
        changed = log.since(self.seen)
        self.seen = log.generation
        return Update(snapshot, changed)
