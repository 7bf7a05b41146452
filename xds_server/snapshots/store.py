"""The snapshots of all connected waypoints: what is wanted, what is served, who follows.

Everything here is synchronous and belongs to the thread of the event loop.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from translators.ir.place import NOWHERE, Nearness, Place
from translators.ir.waypoint import WaypointName
from translators.wire.resource import Resource, ResourceKey
from translators.wire.snapshot import Snapshot
from xds_server.protocol import Rejected
from xds_server.snapshots.feed import Feed, Served
from xds_server.snapshots.proxy_key import ProxyKey
from xds_server.snapshots.quarantine import Quarantine, Rejection, Slot


class Observer:
    """Hears of what a publisher or a status writer reacts to. Override what you need.

    The methods are called inside the store's own calls and must return at once.
    """

    def attached(self, key: ProxyKey) -> None:
        """The first stream of ``key`` has come: its snapshot is wanted, please publish it."""

    def detached(self, key: ProxyKey) -> None:
        """The last stream of ``key`` has gone: what was published for it is dropped."""

    def rejections_changed(self, waypoint: WaypointName) -> None:
        """``rejections(waypoint)`` answers something else than before."""


@dataclass(slots=True)
class _Waypoint:
    quarantine: Quarantine = field(default_factory=Quarantine)
    served: dict[ProxyKey, Served] = field(default_factory=dict)
    nearness: Nearness = Nearness.ANYWHERE


class SnapshotStore:
    """Takes wanted snapshots and the verdicts of Envoys; hands every stream what to serve.

    Wanted content that an Envoy refused is replaced, for old and new streams, by the last content
    of that resource that an Envoy of the same waypoint accepted. There is no look-up across
    waypoints: a stream holds the feed of its own ProxyKey and nothing else.

    Of a proxy's place only so much is part of its key as counts for its waypoint, at first nothing.
    ``locate`` tells what is known of a place.
    """

    def __init__(self, locate: Callable[[Place], Place] = lambda place: place) -> None:
        self._locate = locate
        self._waypoints: dict[WaypointName, _Waypoint] = {}
        self._observers: list[Observer] = []

    def observe(self, observer: Observer) -> None:
        """Tell ``observer`` about everything from now on."""
        self._observers.append(observer)

    @contextmanager
    def attach(self, proxy: ProxyKey, wake: Callable[[], None]) -> Iterator[Feed]:
        """Follow what is for a proxy as long as the context lasts.

        ``wake`` is called after each change.
        """
        feed = Feed(proxy, wake)
        try:
            self._lead(feed, self.key_of(proxy))
            yield feed
        finally:
            self._leave(feed.key, feed)

    def key_of(self, proxy: ProxyKey) -> ProxyKey:
        """With whom a proxy shares what it gets at present."""
        known = self._waypoints.get(proxy.waypoint)
        if known is None or known.nearness is Nearness.ANYWHERE:
            return proxy._replace(place=NOWHERE)
        return proxy._replace(place=self._locate(proxy.place).seen(known.nearness))

    def regard(self, waypoint: WaypointName, nearness: Nearness) -> None:
        """From now on so much of a proxy's place counts: streams are led to where they belong."""
        known = self._waypoints.get(waypoint)
        if known is None or known.nearness is nearness:
            return
        known.nearness = nearness
        for before, served in tuple(known.served.items()):
            for feed in tuple(served.feeds):
                after = self.key_of(feed.proxy)
                if after != before:
                    self._lead(feed, after)
                    self._leave(before, feed)
                    feed.wake()

    def _lead(self, feed: Feed, key: ProxyKey) -> None:
        waypoint = self._waypoints.setdefault(key.waypoint, _Waypoint())
        first = key not in waypoint.served
        feed.follow(key, waypoint.served.setdefault(key, Served()))
        if first:
            for observer in self._observers:
                observer.attached(key)

    def _leave(self, key: ProxyKey, feed: Feed) -> None:
        served = self._served(key)
        if served is not None and feed in served.feeds:
            served.feeds.remove(feed)
            if not served.feeds:
                self._drop(key)

    def publish(
        self, key: ProxyKey, snapshot: Snapshot, changed: Collection[ResourceKey] | None
    ) -> None:
        """Let the Envoys of ``key`` have this. ``changed`` = keys that differ, None = any may.

        Ignored while no stream follows ``key``: observers hear ``attached`` when one comes.
        """
        served = self._served(key)
        if served is None:
            return
        with self._reporting(key.waypoint):
            everything = changed is None or served.wanted is None
            served.wanted = snapshot
            self._forget_unwanted(key, None if everything else changed)
            content = self._replace_refused(key, snapshot)
            served.change(content, None if everything else frozenset(changed or ()))

    def acknowledge(self, key: ProxyKey, resources: Collection[Resource]) -> None:
        """An Envoy of ``key`` accepted these."""
        wanted = self._wanted(key)
        if wanted is None:
            return
        quarantine = self._waypoints[key.waypoint].quarantine
        if not quarantine.refused():
            _accept(quarantine, key, resources, wanted)
            return
        with self._reporting(key.waypoint):
            _accept(quarantine, key, resources, wanted)
            self._refresh(key.waypoint, resources)

    def reject(self, key: ProxyKey, rejected: Rejected) -> None:
        """An Envoy of ``key`` refused a response. Nothing changes while no culprit is known."""
        wanted = self._wanted(key)
        if wanted is None:
            return
        with self._reporting(key.waypoint):
            quarantine = self._waypoints[key.waypoint].quarantine
            for culprit in rejected.culprits:
                if wanted.get(culprit.key) is not None:
                    quarantine.reject(Slot.of(key, culprit.key), culprit, rejected.message)
            self._refresh(key.waypoint, rejected.culprits)

    def rejections(self, waypoint: WaypointName) -> tuple[Rejection, ...]:
        """The wanted content that this waypoint's Envoys refuse now, each once, sorted by key."""
        known = self._waypoints.get(waypoint)
        refused = known.quarantine.refused() if known else ()
        if known is None or not refused:
            return ()
        found: set[Rejection] = set()
        for slot in refused:
            for _, wanted in _wanting(known, slot):
                rejection = known.quarantine.rejection(slot, wanted)
                if rejection is not None:
                    found.add(rejection)
        return tuple(sorted(found, key=lambda rejection: (rejection.key, rejection.version)))

    def suspects(self, key: ProxyKey) -> frozenset[ResourceKey]:
        """What is served to ``key`` though an Envoy has refused it, for want of anything better."""
        known, snapshot = self._waypoints.get(key.waypoint), self.served(key)
        if known is None or snapshot is None:
            return frozenset()
        return frozenset(slot.key for slot, _ in _refused(known.quarantine, key, snapshot))

    def attached(self) -> tuple[ProxyKey, ...]:
        """The keys that any stream follows."""
        return tuple(key for known in self._waypoints.values() for key in known.served)

    def proxies(self, waypoint: WaypointName) -> tuple[ProxyKey, ...]:
        """The keys of one waypoint that any stream follows."""
        known = self._waypoints.get(waypoint)
        return tuple(known.served) if known else ()

    def served(self, key: ProxyKey) -> Snapshot | None:
        """What streams of ``key`` get now; None if nothing is published or nobody follows."""
        served = self._served(key)
        return served.snapshot if served else None

    def forget(self, waypoint: WaypointName) -> None:
        """The Gateway is gone for good: keep no last known good of it."""
        known = self._waypoints.get(waypoint)
        if known is None:
            return
        with self._reporting(waypoint):
            known.quarantine = Quarantine()
            for served in known.served.values():
                if served.wanted is not None and served.snapshot is not served.wanted:
                    served.change(served.wanted, None)
        if not known.served:
            del self._waypoints[waypoint]

    def _served(self, key: ProxyKey) -> Served | None:
        known = self._waypoints.get(key.waypoint)
        return known.served.get(key) if known else None

    def _wanted(self, key: ProxyKey) -> Snapshot | None:
        served = self._served(key)
        return served.wanted if served else None

    def _drop(self, key: ProxyKey) -> None:
        known = self._waypoints[key.waypoint]
        with self._reporting(key.waypoint):
            del known.served[key]
        if not known.served and not known.quarantine.slots():
            del self._waypoints[key.waypoint]
        for observer in self._observers:
            observer.detached(key)

    @contextmanager
    def _reporting(self, waypoint: WaypointName) -> Iterator[None]:
        """Tell the observers if what happens inside changes the waypoint's rejections."""
        before = self.rejections(waypoint)
        yield
        if self.rejections(waypoint) != before:
            for observer in self._observers:
                observer.rejections_changed(waypoint)

    def _forget_unwanted(self, key: ProxyKey, changed: Collection[ResourceKey] | None) -> None:
        known = self._waypoints[key.waypoint]
        if changed is None:
            slots = {slot for slot in known.quarantine.slots() if slot.bind in ("", key.bind)}
        else:
            slots = {Slot.of(key, resource) for resource in changed}
        for slot in slots:
            if not any(_wanting(known, slot)):
                known.quarantine.forget(slot)

    def _replace_refused(self, key: ProxyKey, wanted: Snapshot) -> Snapshot:
        quarantine = self._waypoints[key.waypoint].quarantine
        refused = _refused(quarantine, key, wanted)
        return wanted.updated([quarantine.substitute(slot, resource) for slot, resource in refused])

    def _refresh(self, waypoint: WaypointName, judged: Collection[Resource]) -> None:
        """Serve what the verdicts now allow, and wake the streams for which that differs."""
        known = self._waypoints[waypoint]
        for key, served in known.served.items():
            if served.wanted is None:
                continue
            keys = {resource.key for resource in judged if self._differs(key, served, resource.key)}
            if keys:
                served.change(self._replace_refused(key, served.wanted), frozenset(keys))

    def _differs(self, proxy: ProxyKey, served: Served, key: ResourceKey) -> bool:
        """Whether another content of that resource should be served than is now."""
        wanted = served.wanted.get(key) if served.wanted else None
        if wanted is None or served.snapshot is None:
            return False
        quarantine = self._waypoints[proxy.waypoint].quarantine
        return quarantine.substitute(Slot.of(proxy, key), wanted) != served.snapshot.get(key)


def _accept(
    quarantine: Quarantine, key: ProxyKey, resources: Collection[Resource], wanted: Snapshot
) -> None:
    for resource in resources:
        current = wanted.get(resource.key)
        if current is not None:
            quarantine.accept(Slot.of(key, resource.key), resource, current)


def _refused(
    quarantine: Quarantine, key: ProxyKey, snapshot: Snapshot
) -> Iterator[tuple[Slot, Resource]]:
    """What of a snapshot for ``key`` an Envoy has refused, and in which slot."""
    for slot in quarantine.refused():
        resource = snapshot.get(slot.key) if slot.bind in ("", key.bind) else None
        if resource is not None and quarantine.rejection(slot, resource) is not None:
            yield slot, resource


def _wanting(known: _Waypoint, slot: Slot) -> Iterator[tuple[ProxyKey, Resource]]:
    """Who wants a resource in this slot now, and what."""
    for key, served in known.served.items():
        if slot.bind in ("", key.bind) and served.wanted is not None:
            resource = served.wanted.get(slot.key)
            if resource is not None:
                yield key, resource
