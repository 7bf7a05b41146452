"""From changes of the world to published snapshots, in slices that never hold up the loop."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import structlog

from translators.compiler import Compiler
from translators.edition import Edition
from translators.ir.endpoint import EndpointSet
from translators.ir.listener import ConnectTerminate
from translators.ir.place import NOWHERE, Place
from translators.ir.secret import Certificate, TrustBundle
from translators.ir.waypoint import WaypointName
from translators.placement import placed
from translators.wire import Resource, ResourceKey, Snapshot
from translators.world import Change
from translators.xds import resource
from xds_server.serving.durations import Durations
from xds_server.snapshots import Observer, ProxyKey, SnapshotStore

_log = structlog.get_logger(__name__)

Secrets = Callable[[WaypointName, str], tuple[Certificate, TrustBundle]]
"""The secrets of a waypoint that runs as the given service account."""

_Own = tuple[ConnectTerminate, Certificate, TrustBundle]

_Near = Mapping[ResourceKey, tuple[EndpointSet, Resource]]

_SLICE = 0.003  # seconds that one turn of the loop may be kept busy; streams need some too


@dataclass(frozen=True, slots=True)
class _Published:
    """What one ProxyKey was given: an edition, and what is its own with the resources of that.

    ``near`` are the endpoints as they are seen from its place.
    """

    edition: Edition
    own: _Own
    resources: tuple[Resource, ...]
    near: _Near
    snapshot: Snapshot


class Publisher(Observer):
    """Publishes, for every ProxyKey that an Envoy follows, what the world means for it.

    There is no debounce: what changes while it is busy is taken together, what changes while it
    is idle goes out at once. Waypoints nobody asks for cost nothing but their indexes. ``settled``
    is called when it has become idle after first configurations, which stay for long, ``compiled``
    whenever a waypoint has been looked at.
    """

    def __init__(
        self,
        compiler: Compiler,
        store: SnapshotStore,
        secrets: Secrets,
        settled: Callable[[], None] = lambda: None,
        compiled: Callable[[WaypointName], None] = lambda _: None,
    ) -> None:
        self._compiler = compiler
        self._store = store
        self._secrets = secrets
        self._settled = settled
        self._compiled = compiled
        self._published: dict[ProxyKey, _Published] = {}
        self._new: dict[ProxyKey, float] = {}  # since when
        self._stale: dict[ProxyKey, float] = {}
        self._failed: dict[ProxyKey, str] = {}
        self.durations = Durations()
        self._wake = asyncio.Event()
        self._until = 0.0
        store.observe(self)

    def attached(self, key: ProxyKey) -> None:
        """An Envoy asks for a configuration that is not published yet."""
        self._new[key] = time.perf_counter()
        self._wake.set()

    def detached(self, key: ProxyKey) -> None:
        """Nobody asks for it any more."""
        self._published.pop(key, None)
        self._new.pop(key, None)
        self._stale.pop(key, None)
        self._failed.pop(key, None)

    def apply(self, changes: Iterable[Change]) -> None:
        """The world has changed."""
        touched = self._compiler.apply(changes)
        # What failed has not said what it depends on.
        self.refresh(touched | {key.waypoint for key in self._failed})

    def problems(self) -> list[str]:
        """Which waypoints are not as the world wants them, because of faults of ours."""
        failed = {f"waypoint {key.waypoint}: {why}" for key, why in self._failed.items()}
        return sorted(failed)

    def refresh(self, waypoints: Iterable[WaypointName]) -> None:
        """Something that these waypoints are made from has changed."""
        now = time.perf_counter()
        for waypoint in waypoints:
            for key in self._store.proxies(waypoint):
                if key not in self._new:
                    self._stale.setdefault(key, now)
        if self._stale:
            self._wake.set()

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be published."""
        return not (self._new or self._stale)

    async def run(self) -> None:
        """Publish for ever; ends by cancellation. First configurations go first."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            self._until = time.perf_counter() + _SLICE
            grown = bool(self._new)
            while queue := self._new or self._stale:
                await self._try(next(iter(queue)))
                await self._breathe()
                grown = grown or bool(self._new)
            if grown:
                self._settled()

    async def _try(self, key: ProxyKey) -> None:
        """Publish. A fault in one waypoint's translation leaves it as it was, and all others alone.

        It is tried again whenever the world changes.
        """
        try:
            await self._publish(key)
            self._failed.pop(key, None)
        except Exception as error:
            if key not in self._failed:
                _log.exception("a waypoint can't be translated", waypoint=str(key.waypoint))
            waiting = self._new.pop(key, None), self._stale.pop(key, None)
            if waiting != (None, None):  # it is still asked for
                self._failed[key] = f"can't be translated: {type(error).__name__}"

    async def _publish(self, key: ProxyKey) -> None:
        await self._prepare(key.waypoint)
        if self._compiler.serves(key.waypoint):
            self._store.regard(key.waypoint, self._compiler.edition(key.waypoint).nearness)
            self._compiled(key.waypoint)
        news, change = self._new.pop(key, None), self._stale.pop(key, None)
        since = change if news is None else news
        if since is None or not self._compiler.serves(key.waypoint):
            return
        before = self._published.get(key)
        after = self._compose(key, before)
        changed = None if before is None else _differences(before, after)
        if changed is None or changed:
            self._published[key] = after
            self._store.publish(key, after.snapshot, changed)
            self.durations.note(time.perf_counter() - since)

    async def _prepare(self, waypoint: WaypointName) -> None:
        """Do the costly part in slices; what the world changes meanwhile is done again."""
        for _ in self._compiler.steps(waypoint):
            await self._breathe()

    async def _breathe(self) -> None:
        """Let everybody else run if this turn has taken its share; be it of many small works."""
        if time.perf_counter() > self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + _SLICE

    def _compose(self, key: ProxyKey, before: _Published | None) -> _Published:
        """All that one Envoy gets: the waypoint's resources, its own listener, its secrets."""
        edition = self._compiler.edition(key.waypoint)
        account = self._compiler.service_account(key.waypoint)
        listener = ConnectTerminate(key.bind, self._compiler.mesh.trust_domains)
        own = (listener, *self._secrets(key.waypoint, account))
        if before is not None and before.own == own:
            resources = before.resources
        else:
            resources = (_shared(own[0]), resource(own[1]), _shared(own[2]))
        near = _seen_from(key.place, edition, before.near if before else {})
        placed_ones = (made for _, made in near.values())
        snapshot = edition.snapshot.updated((*resources, *placed_ones))
        return _Published(edition, own, resources, near, snapshot)


def _seen_from(place: Place, edition: Edition, known: _Near) -> _Near:
    """What of an edition depends on the place of a proxy; nothing for one that has none."""
    if place == NOWHERE:
        return {}
    near: dict[ResourceKey, tuple[EndpointSet, Resource]] = {}
    for key, found in edition.near.items():
        before, old = known.get(key, (None, None))
        made = old if old is not None and before is found else resource(placed(found, place))
        near[key] = (found, old if old is not None and old == made else made)
    return near


@lru_cache(maxsize=1024)
def _shared(node: ConnectTerminate | TrustBundle) -> Resource:
    """What many waypoints have alike is rendered once; private keys are kept nowhere."""
    return resource(node)


def _differences(before: _Published, after: _Published) -> frozenset[ResourceKey]:
    """The keys whose resource came, went, or is another. Unchanged ones are the same object."""
    own = {one.key for one in set(before.resources).symmetric_difference(after.resources)}
    own |= {
        key
        for key in before.near.keys() | after.near.keys()
        if _made(before.near, key) is not _made(after.near, key)
    }
    if after.edition.number == before.edition.number + 1:
        return after.edition.changed | own
    if after.edition is before.edition:
        return frozenset(own)
    keys = {one.key for one in (*before.snapshot.all(), *after.snapshot.all())}
    return frozenset(key for key in keys if before.snapshot.get(key) is not after.snapshot.get(key))


def _made(near: _Near, key: ResourceKey) -> Resource | None:
    return near[key][1] if key in near else None
