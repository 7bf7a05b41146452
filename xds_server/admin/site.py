"""The admin port."""

import asyncio
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from translators.ir.waypoint import WaypointName
from translators.wire import ResourceKey, Snapshot
from xds_server.admin.config_dump import States, config_dump
from xds_server.ads import AdsCounters, StreamRegistry, StreamStatus
from xds_server.protocol import ResourceState
from xds_server.snapshots import ProxyKey, Rejection, SnapshotStore

_PAGES = {
    "/": "this list",
    "/healthz": "whether the process answers; ?verbose adds how old what it knows is",
    "/metrics": "figures for Prometheus",
    "/readyz": "whether a first configuration can be served",
    "/config_dump?waypoint=ns/name": "what a waypoint is served, in Envoy's own shape",
    "/syncz": "the connected proxies",
    "/pauses": "how often and how long the garbage collector stopped everything",
    "/problems": "what is wrong: objects, the way to them, refused configuration, status",
}


@dataclass(frozen=True, slots=True)
class AdminSite:
    """What the pages show.

    ``preview`` gives the snapshot of a waypoint nobody has asked for yet, None if there is no
    such waypoint; ``problems`` and ``pauses`` give JSON values. ``ages`` are the seconds
    since each kind was last known to be up to date, None for never; ``metrics`` gives that page.
    """

    store: SnapshotStore
    registry: StreamRegistry
    counters: AdsCounters
    ready: Callable[[], bool]
    preview: Callable[[WaypointName], Snapshot | None]
    problems: Callable[[], list[Mapping[str, Any]]]
    pauses: Callable[[], Mapping[str, float]]
    ages: Callable[[], Mapping[str, float | None]]
    metrics: Callable[[], bytes]
    _dumping: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    def application(self) -> web.Application:
        """The pages as an aiohttp application."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self._index),
                web.get("/healthz", self._healthz),
                web.get("/readyz", self._readyz),
                web.get("/metrics", self._metrics),
                web.get("/config_dump", self._config_dump),
                web.get("/syncz", self._syncz),
                web.get("/pauses", self._pauses),
                web.get("/problems", self._problems),
            ]
        )
        return application

    async def _index(self, _: web.Request) -> web.Response:
        return web.Response(text="".join(f"{path:32}{says}\n" for path, says in _PAGES.items()))

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n" + self._details(request))

    async def _readyz(self, request: web.Request) -> web.Response:
        if self.ready():
            return web.Response(text="ready\n" + self._details(request))
        text = "the objects have not been read yet\n" + self._details(request)
        return web.Response(status=503, text=text)

    def _details(self, request: web.Request) -> str:
        """With ``?verbose``: how old what is known of each kind is, and how much is wrong."""
        if "verbose" not in request.query:
            return ""
        ages = "".join(f"{kind:50}{_tell(age)}\n" for kind, age in sorted(self.ages().items()))
        return f"{ages}problems: {len(self.problems())}\n"

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self.metrics(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _pauses(self, _: web.Request) -> web.Response:
        return web.json_response(self.pauses())

    async def _problems(self, _: web.Request) -> web.Response:
        return web.json_response(self.problems())

    async def _syncz(self, _: web.Request) -> web.Response:
        return web.json_response(
            [_describe(stream, self._served_to(stream)) for stream in self.registry.streams()]
        )

    def _served_to(self, stream: StreamStatus) -> Snapshot | None:
        proxy = stream.proxy
        key = self.store.key_of(ProxyKey(proxy.waypoint, proxy.bind, proxy.place))
        return self.store.served(key)

    async def _config_dump(self, request: web.Request) -> web.Response:
        try:
            waypoint = WaypointName.parse(request.query.get("waypoint", ""))
        except ValueError:
            raise web.HTTPBadRequest(text="say which: ?waypoint=namespace/name\n") from None
        snapshot = self._snapshot(waypoint)
        if snapshot is None:
            raise web.HTTPNotFound(text=f"there is no waypoint {waypoint}\n")
        streams = self.registry.streams()
        states = [each.state() for each in streams if each.proxy.waypoint == waypoint]
        rejections = self.store.rejections(waypoint)
        async with self._dumping:  # in a thread, so that proxies need not wait for a large dump
            text = await asyncio.to_thread(_dump, snapshot, states, rejections)
        return web.Response(text=text, content_type="application/json")

    def _snapshot(self, waypoint: WaypointName) -> Snapshot | None:
        """What its proxies are served; they may listen on several addresses, one is shown."""
        for key in self.store.attached():
            if key.waypoint == waypoint and (served := self.store.served(key)) is not None:
                return served
        return self.preview(waypoint)


def _dump(snapshot: Snapshot, states: Collection[States], rejections: Iterable[Rejection]) -> str:
    return json.dumps({"configs": config_dump(snapshot, states, rejections)})


def _describe(stream: StreamStatus, served: Snapshot | None) -> dict[str, Any]:
    states = stream.state()
    return {
        "waypoint": str(stream.proxy.waypoint),
        "node": stream.proxy.node_id,
        "peer": stream.peer,
        "protocol": stream.variant,
        "connected_at": stream.connected_at.isoformat(),
        "resources": len(states),
        "synced": served is not None and _has_all(states, served),
    }


def _tell(age: float | None) -> str:
    return "not read yet" if age is None else f"confirmed {age:.1f} s ago"


def _has_all(states: Mapping[ResourceKey, ResourceState], served: Snapshot) -> bool:
    """Whether everything was accepted, be it on this stream or on one before it."""
    return all(
        (state := states.get(resource.key)) is not None and state.acked == resource.version
        for names in served.resources.values()
        for resource in names.values()
    )
