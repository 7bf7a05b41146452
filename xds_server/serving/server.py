"""``waypost serve``: everything that runs, under one task group."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from aiohttp import web

from translators.compiler import Compiler
from translators.gateway_api import Refusal
from translators.gateway_api.binding import WAYPOINT_CLASS
from translators.ir.secret import Certificate, TrustBundle
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.gateway import Gateway, GatewayClass
from translators.resources.metadata import ObjectKey
from translators.status import ObjectStatus
from translators.wire import Snapshot
from translators.world import Change
from translators.xds.names import ROOTS, SVID
from xds_server.admin import AdminSite, Metrics, Readings, Reporting
from xds_server.ads import AdsLimits, AdsService
from xds_server.identity.authority import Authority
from xds_server.identity.authority_store import open_authority
from xds_server.identity.network import NetworkAuthenticator
from xds_server.identity.peer import LoopbackAuthenticator, split_address
from xds_server.identity.rotation import RotatingSvids
from xds_server.identity.spiffe import SpiffeId
from xds_server.serving.collector import Collector
from xds_server.serving.lingering import Lingering
from xds_server.serving.listeners import Listeners, SecureXds, with_port
from xds_server.serving.loop_lag import LoopLag
from xds_server.serving.publisher import Publisher
from xds_server.snapshots import Observer, SnapshotStore
from xds_server.sources.source import Source, SourceError, SourceProblem
from xds_server.status import StatusWriter

if TYPE_CHECKING:
    from xds_server.deployment import Deployer, Wishes

_log = structlog.get_logger(__name__)

_CLASS = ObjectKey(GatewayClass.kind, "", WAYPOINT_CLASS)


class _HandedOver(Exception):
    """Nothing is left to be served."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is told at its start. Addresses are ``ip:port``; port 0 takes a free one.

    ``secure`` is xDS for Envoys of other hosts, if there are any. ``drain_s`` is how long a server
    that is to end takes to hand its Envoys over to other replicas, ``linger_s`` how long a waypoint
    still answers for a service that has gone to another one.
    """

    ca_dir: Path
    xds_address: str
    admin_address: str
    mesh: Mesh
    secure: SecureXds | None = None
    drain_s: float = 0.0
    linger_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a server that has started can be reached; ``secure`` is empty without TLS."""

    xds: str
    admin: str
    secure: str = ""


class Server(Observer):
    """A control plane for the waypoints of one source of objects.

    ``status`` writes to the cluster what is to be said about its objects, and ``deployer`` puts
    waypoints there, as the leader that ``status`` makes of it; None where there is no cluster, or
    nothing is to be written.
    """

    def __init__(
        self,
        settings: Settings,
        source: Source,
        authority: Authority,
        status: StatusWriter | None = None,
        deployer: "Deployer | None" = None,
    ) -> None:
        self._deployer = deployer
        self._settings = settings
        self._authority = authority
        self._compiler = Compiler(settings.mesh, lingers=settings.linger_s > 0)
        self._store = SnapshotStore(self._compiler.locate)
        self._source = source
        self._status = status
        self._svids = RotatingSvids(authority, _now, self._renewed)
        self._ads = self._service()
        self._synced = asyncio.Event()
        self._ending = asyncio.Event()
        self._collector = Collector()
        self._publisher = Publisher(
            *(self._compiler, self._store, self._secrets, self._collector.spare),
            self._compiled,
        )
        self._lingering = Lingering(self._compiler, settings.linger_s, self._publisher.refresh)
        self._lag = LoopLag()
        self._updates: Counter[str] = Counter()
        self._reported: frozenset[SourceProblem] = frozenset()
        self._store.observe(self)

    async def run(self, started: Callable[[Addresses], None]) -> None:
        """Serve until cancelled. Raises OSError or RuntimeError if an address can't be used.

        xDS is served only once all objects have been read: an Envoy that comes back must never
        be told that something it has is gone, only because it has not been read yet.
        """
        settings = self._settings
        listeners = Listeners(
            self._ads, settings.xds_address, settings.secure, self._authority, _now
        )
        with self._collector.watching():
            await self._serve(listeners, started)

    async def _serve(self, listeners: Listeners, started: Callable[[Addresses], None]) -> None:
        async with self._admin() as admin:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._source.run(self._changed, self._all_read))
                    tasks.create_task(self._publisher.run())
                    tasks.create_task(self._svids.run())
                    tasks.create_task(self._lag.run())
                    await self._synced.wait()
                    self._collector.settle()
                    tasks.create_task(self._collector.run())
                    await listeners.start()
                    tasks.create_task(listeners.run())
                    if self._status is not None:
                        tasks.create_task(self._status.run(self._statuses))
                    if self._deployer is not None:
                        tasks.create_task(self._deployer.run(self._wishes, self._wake_status))
                    started(Addresses(listeners.plain, admin, listeners.secure))
                    tasks.create_task(self._hand_over(listeners))
            except* _HandedOver:
                pass
            finally:
                await listeners.stop()

    def end(self) -> bool:
        """Hand over to other replicas, then end; False if there is nothing to wait for (longer)."""
        has_envoys = self._ads.counters.streams_open > 0
        may_wait = self._settings.drain_s > 0 and self._is_ready() and has_envoys
        if may_wait:
            self._ending.set()
        return may_wait

    async def _hand_over(self, listeners: Listeners) -> None:
        """Once told to end: be not ready, so that no new Envoys come, and then let go of all."""
        await self._ending.wait()
        unready = self._settings.drain_s / 4
        _log.info("handing over", streams=self._ads.counters.streams_open)
        await asyncio.sleep(unready)
        await listeners.stop(self._settings.drain_s - unready)
        raise _HandedOver

    def _is_ready(self) -> bool:
        return self._synced.is_set() and not self._ending.is_set()

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[str]:
        host, port = split_address(self._settings.admin_address)
        site = AdminSite(
            self._store,
            self._ads.registry,
            self._ads.counters,
            self._is_ready,
            self._preview,
            self._problems,
            self._collector.figures,
            self._source.ages,
            Metrics(self._readings()).page,
        )
        runner = web.AppRunner(site.application(), access_log=None)
        await runner.setup()
        try:
            listener = web.TCPSite(runner, host, port)
            await listener.start()
            yield with_port(self._settings.admin_address, runner.addresses[0][1])
        finally:
            await runner.cleanup()

    def _changed(self, changes: Sequence[Change]) -> None:
        said = self._compiler.revision
        self._updates.update(_update_type(change.key.kind) for change in changes)
        self._publisher.apply(changes)
        self._look_again(changes)
        self._report_problems()
        if self._compiler.revision != said:
            self._wake_status()
            if self._deployer is not None:
                self._deployer.wake()

    def _look_again(self, changes: Iterable[Change]) -> None:
        """At once: an Envoy that lost its account gets nothing that is for the new one."""
        keys = [change.key for change in changes]
        touched = {
            WaypointName(key.namespace, key.name) for key in keys if key.kind == Gateway.kind
        }
        if any(key.kind == GatewayClass.kind for key in keys):
            touched.update(self._ads.entrance.waypoints())
        if touched:
            self._ads.entrance.look_again(touched)

    def _service(self) -> AdsService:
        secure = self._settings.secure
        if secure is None:
            return AdsService(self._store, LoopbackAuthenticator())
        authenticator = NetworkAuthenticator(secure.credentials, self._account_of)
        return AdsService(self._store, authenticator, AdsLimits(recheck=secure.recheck))

    def _account_of(self, waypoint: WaypointName) -> str | None:
        return self._compiler.service_account(waypoint) if self._compiler.serves(waypoint) else None

    def rejections_changed(self, waypoint: WaypointName) -> None:
        """What the waypoint's Envoys refuse is another: its users are told."""
        self._wake_status()

    def _wake_status(self) -> None:
        if self._status is not None:
            self._status.wake()

    def _all_read(self) -> None:
        self._report_problems()
        self._synced.set()

    def _report_problems(self) -> None:
        """Log what has become wrong since the last look, once."""
        current = frozenset(self._source.problems())
        for problem in sorted(current - self._reported, key=str):
            _log.warning("bad object", file=problem.file, problem=str(problem))
        self._reported = current

    def _secrets(self, waypoint: WaypointName, account: str) -> tuple[Certificate, TrustBundle]:
        identity = SpiffeId(self._settings.mesh.trust_domain, waypoint.namespace, account)
        svid = self._svids.get(identity)
        roots = self._authority.trust_bundle()
        return (
            Certificate(SVID, svid.chain, svid.key),
            TrustBundle(ROOTS, roots),
        )

    def _renewed(self, identities: frozenset[SpiffeId]) -> None:
        namespaces = {identity.namespace for identity in identities}
        self._publisher.refresh(
            waypoint for waypoint in self._compiler.waypoints() if waypoint.namespace in namespaces
        )

    def _preview(self, waypoint: WaypointName) -> Snapshot | None:
        if not self._compiler.serves(waypoint):
            return None
        return self._compiler.edition(waypoint).snapshot

    def _refusals(self) -> list[Refusal]:
        """What Envoys refuse at present."""
        return [
            Refusal(waypoint, rejection.key.name, rejection.message, rejection.origins)
            for waypoint in {key.waypoint: None for key in self._store.attached()}
            for rejection in self._store.rejections(waypoint)
        ]

    def _statuses(self) -> Iterable[ObjectStatus | None]:
        verdicts = self._deployer.conditions() if self._deployer else ()
        return self._compiler.status_steps(lambda _condition: "", self._refusals(), verdicts)

    def _compiled(self, waypoint: WaypointName) -> None:
        self._lingering.look(waypoint)

    def _wishes(self) -> "Wishes":
        from xds_server.deployment import Wishes  # noqa: PLC0415  only who deploys needs all that

        roots = self._authority.trust_bundle().decode()
        return Wishes(self._compiler.deployable(), self._compiler.has(_CLASS), roots)

    def _problems(self) -> list[Mapping[str, Any]]:
        """What is wrong: with objects and the way to them, with proxies, with what we write."""
        found = [{"file": one.file, "problem": str(one)} for one in self._source.problems()]
        refused = [
            {
                "waypoint": str(refusal.waypoint),
                "objects": [str(origin) for origin in refusal.origins],
                "problem": f"{refusal.resource} is refused: {refusal.message}",
            }
            for refusal in self._refusals()
        ]
        unwritten = self._status.problems() if self._status else []
        undeployed = self._deployer.problems() if self._deployer else []
        secure = self._settings.secure
        unknown = secure.credentials.problems() if secure else ()
        others = (*self._publisher.problems(), *unwritten, *undeployed, *unknown)
        return [*found, *refused, *({"problem": one} for one in others)]

    def _readings(self) -> Readings:
        return Readings(
            self._store,
            self._ads.counters,
            self._compiler.counts,
            self._source.ages,
            lambda: len(self._problems()),
            lambda: self._lag.seconds,
            lambda: min(root.not_valid_after_utc for root in self._authority.roots).timestamp(),
            self._reviews,
            self._reporting,
            lambda: self._updates,
            self._publisher.durations.buckets,
            lambda: self._publisher.durations.total,
            lambda: self._svids.issued,
        )

    def _reviews(self) -> Mapping[str, int]:
        secure = self._settings.secure
        return {} if secure is None else secure.credentials.reviews

    def _reporting(self) -> Reporting | None:
        if self._status is None:
            return None
        status, deployer = self._status, self._deployer
        return Reporting(
            *(status.leader.leads, status.writes, status.refusals, status.waiting),
            *((deployer.writes, len(deployer.conditions())) if deployer else ()),
        )


async def serve(
    settings: Settings,
    source: Source,
    started: Callable[[Addresses], None],
    status: StatusWriter | None = None,
    deployer: "Deployer | None" = None,
) -> None:
    """Run a server until SIGTERM, on which it hands its Envoys over if it may, or SIGINT.

    Raises AuthorityError if the CA can't be used, InsecureAddress, OSError or RuntimeError if an
    address can't, and SourceError if the source can't be used at all.
    """
    authority = open_authority(settings.ca_dir, _now())
    server = Server(settings, source, authority, status, deployer)
    running = asyncio.ensure_future(server.run(started))

    def end() -> None:
        if not server.end():  # for the second time, say
            running.cancel()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, end)
    loop.add_signal_handler(signal.SIGINT, running.cancel)  # a person waits
    try:
        await running
    except asyncio.CancelledError:
        _log.info("stopped")
    except ExceptionGroup as group:
        unusable = group.subgroup(SourceError)
        if unusable is None:
            raise
        raise unusable.exceptions[0] from None


def _update_type(kind: str) -> str:
    """What Istio's metric of updates calls a change of an object of this kind."""
    return {"EndpointSlice": "eds", "Pod": "eds", "Service": "svc"}.get(kind, "config")


def _now() -> datetime:
    return datetime.now(UTC)
