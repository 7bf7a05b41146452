"""A whole mesh on loopback: manifests, our server, a waypoint that it configures, and pods.

Every test offers a service of its own at a virtual IP of its own, so that one mesh serves many.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.certs import CertFolder
from tests.support.controlplane import ControlPlane
from tests.support.envoyproc import EnvoyProcess
from tests.support.fleet import EchoFleet
from tests.support.hbone import ConnectRefusedError, HboneConnection, Tunnel
from tests.support.http1 import http1_request
from tests.support.http2 import Http2Connection
from tests.support.loopback import LoopbackNet
from tests.support.manifests import (
    BANNER,
    H2C,
    HTTP,
    PORTS,
    TCP,
    WAYPOINT,
    Manifest,
    ManifestFolder,
    gateway,
    namespace,
    pod,
    service,
)
from tests.support.response import Response
from translators.ir.bootstrap import Bootstrap, SecureStream, node_id
from translators.ir.waypoint import WaypointName
from translators.resources.metadata import ObjectKey
from translators.resources.parsing.manifest import parse
from translators.xds.bootstrap import bootstrap
from xds_server.demo.echo import EchoApp
from xds_server.demo.ztunnel import Address, Pod, SvidFiles, Waypoint, ztunnel_bootstrap

DRAIN_S = 2
"""How long a waypoint lets a connection of a changed listener live: a test can wait for it."""

_TURNS = 4
_NOWHERE = Address("10.99.99.99", 1)

_vips = (f"10.96.{high}.{low}" for high in count() for low in range(1, 255))


@dataclass(frozen=True, slots=True)
class Offer:
    """A service that a test may ask: its name, its virtual IP, and the manifest that makes it."""

    name: str
    ip: str
    manifest: Manifest

    def at(self, port: int) -> Address:
        """A port of its virtual IP."""
        return Address(self.ip, port)

    @property
    def http(self) -> Address:
        return self.at(80)

    @property
    def grpc(self) -> Address:
        return self.at(81)

    @property
    def tcp(self) -> Address:
        return self.at(90)

    @property
    def banner(self) -> Address:
        return self.at(91)

    @property
    def undeclared(self) -> Address:
        """HTTP behind a port that does not say so."""
        return self.at(8000)


@dataclass(frozen=True, slots=True)
class Pods:
    """The echo pods that services select by the label ``pod``.

    ``v1`` and ``v2`` are reached through HBONE, ``plain`` is not in the mesh, and ``impostor``
    shows another identity than its manifest says.
    """

    v1: EchoApp
    v2: EchoApp
    plain: EchoApp
    impostor: EchoApp

    def __iter__(self) -> Iterator[EchoApp]:
        return iter((self.v1, self.v2, self.plain, self.impostor))

    def manifests(self, namespace: str) -> list[Manifest]:
        """What a cluster would report of them."""
        return [
            pod(
                app.version,
                namespace,
                app.ip,
                {"pod": app.version, "all": "yes"},
                captured=app is not self.plain,
            )
            for app in self
        ]


def start_pods(fleet: EchoFleet, net: LoopbackNet, first_host: int) -> Pods:
    """Four pods on the host numbers from ``first_host`` on."""
    names = ("v1", "v2", "plain", "impostor")
    return Pods(
        *(
            fleet.add(
                EchoApp("app", name, net.ip(first_host + number), (HTTP,), (TCP,), (BANNER,)),
                h2c_ports=(H2C,),
            )
            for number, name in enumerate(names)
        )
    )


def stand_in(pods: Pods, certs: CertFolder, home: str) -> Mapping[str, Any]:
    """The bootstrap of the stand-in for the ztunnels of the captured pods."""
    app, someone = certs.svid(home, "app"), certs.svid(home, "someone")
    captured = [Pod(one.ip, app) for one in (pods.v1, pods.v2)]
    return ztunnel_bootstrap(
        [], [*captured, Pod(pods.impostor.ip, someone)], str(certs.root), Address("127.0.0.1", 0)
    )


def waypoint_bootstrap(home: str, ip: str, xds: str, secure: SecureStream | None = None) -> Any:
    """The bootstrap of a namespace's waypoint at ``ip``, as JSON values."""
    name = WaypointName(home, WAYPOINT)
    bind, admin = f"{ip}:15008", "127.0.0.1:0"
    node = Bootstrap(name, node_id(name, ip), xds, bind, admin, secure=secure)
    return json.loads(bootstrap(node).to_json())


@dataclass(slots=True)
class Clients:
    """Callers from one address; those with the same identity share a connection, as in ztunnel."""

    waypoint: Waypoint
    certs: CertFolder
    ip: str
    _open: dict[str, HboneConnection] = field(default_factory=dict)

    async def connection(self, caller: SvidFiles) -> HboneConnection:
        """The caller's connection to the waypoint, opened anew if it has ended."""
        known = self._open.get(caller.uri)
        if known is not None and not (known.http2.closed or known.http2.goaway):
            return known
        fresh = HboneConnection(self.waypoint, caller, self.certs.root, source_ip=self.ip)
        self._open[caller.uri] = await fresh.__aenter__()
        if known is not None:
            await known.__aexit__()
        return fresh

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._open.values():
            await connection.__aexit__()
        self._open.clear()


@dataclass(frozen=True, slots=True)
class Mesh:
    """One namespace with its waypoint. ``friend`` and ``stranger`` are two callers in it."""

    home: str
    folder: ManifestFolder
    plane: ControlPlane
    envoy: EnvoyProcess
    pods: Pods
    certs: CertFolder
    clients: Clients
    _written: dict[str, set[ObjectKey]] = field(default_factory=dict)

    @property
    def name(self) -> WaypointName:
        return WaypointName(self.home, WAYPOINT)

    @property
    def friend(self) -> SvidFiles:
        return self.certs.svid(self.home, "friend")

    @property
    def stranger(self) -> SvidFiles:
        return self.certs.svid(self.home, "stranger")

    def offer(
        self,
        name: str,
        selector: Mapping[str, str] | None = None,
        ports: Sequence[tuple[str, int, int]] = PORTS,
    ) -> Offer:
        """A new service, of pod ``v1`` unless something else is selected; not yet written."""
        ip = next(_vips)
        manifest = service(name, self.home, ip, selector or {"pod": "v1"}, ports)
        return Offer(name, ip, manifest)

    async def serve(self, traffic: str = "", allowed: str = "Same") -> None:
        """Let the waypoint be for such traffic, and return when it is; by default for services.

        ``allowed`` tells from which namespaces.
        """
        base = _base(self.home, self.pods, traffic, allowed)
        self.folder.put(self.home, *base)
        await self.plane.until_obeyed(base, by=self.name)
        await self._round_trip()

    async def put(self, name: str, *manifests: Manifest) -> None:
        """Write the file and return when the waypoint obeys it."""
        before = self._written.get(name, set())
        self._written[name] = set(map(key_of, manifests))
        self.folder.put(name, *manifests)
        gone = before.difference(*self._written.values())
        await self.plane.until_obeyed(manifests, gone, by=self.name)
        await self._round_trip()

    async def remove(self, name: str, *manifests: Manifest) -> None:
        """Remove the file, in which these were, and return when the waypoint obeys."""
        self._written.pop(name)
        self.folder.remove(name)
        await self.plane.until_obeyed(gone=map(key_of, manifests), by=self.name)
        await self._round_trip()

    async def clear(self) -> None:
        """Remove every file that was put, so that the next test finds a small waypoint."""
        gone = set().union(*self._written.values())
        for name in self._written:
            self.folder.remove(name)
        self._written.clear()
        await self.plane.until_obeyed(gone=gone, by=self.name)

    async def _round_trip(self) -> None:
        """Let the worker of the Envoy turn: its main thread acknowledges before it has.

        More than once, because a busy worker may answer before it looks at what was posted.
        """
        for _ in range(_TURNS):
            with suppress(ConnectRefusedError):
                await self.tunnel(_NOWHERE)

    async def tunnel(self, to: Address, caller: SvidFiles | None = None) -> Tunnel:
        """A tunnel of ``friend`` or another caller. Raises ConnectRefusedError."""
        connection = await self.clients.connection(caller or self.friend)
        return await connection.connect(str(to))

    async def get(
        self,
        to: Address,
        path: str = "/",
        headers: Sequence[tuple[str, str]] = (),
        *,
        caller: SvidFiles | None = None,
        method: str = "GET",
        body: bytes = b"",
    ) -> Response:
        """One HTTP/1.1 request through a tunnel of its own."""
        async with await self.tunnel(to, caller) as tunnel:
            return await http1_request(tunnel, method, path, headers, body)

    @asynccontextmanager
    async def http2(
        self, to: Address, caller: SvidFiles | None = None
    ) -> AsyncIterator[Http2Connection]:
        """An HTTP/2 connection through a tunnel of its own."""
        async with await self.tunnel(to, caller) as tunnel, Http2Connection(tunnel) as connection:
            yield connection

    async def listener_changes(self) -> Mapping[str, int]:
        """How often the waypoint's configuration changed, by the way in which it did."""
        return await self.envoy.stats(
            r"^listener_manager\.(listener_(added|modified|in_place_updated|removed)"
            r"|lds\.update_success)$|^cluster_manager\.cds\.update_success$"
        )


def key_of(manifest: Manifest) -> ObjectKey:
    """The object that a manifest is about. Raises ValueError if it does not say."""
    key = parse(manifest).key
    if key is None:
        raise ValueError("a manifest without a name")
    return key


def _base(home: str, pods: Pods, traffic: str = "", allowed: str = "Same") -> list[Manifest]:
    return [namespace(home), gateway(home, traffic, allowed), *pods.manifests(home)]


@asynccontextmanager
async def waypoint(
    home: str,
    ip: str,
    plane: ControlPlane,
    folder: Path,
    pods: Pods,
    certs: CertFolder,
    manifests: ManifestFolder,
    client_ip: str,
    secure: SecureStream | None = None,
) -> AsyncIterator[Mesh]:
    """The waypoint of a namespace, whose manifests are written first."""
    base = _base(home, pods)
    manifests.put(home, *base)
    await plane.until_obeyed(base)
    xds = plane.addresses.xds if secure is None else plane.addresses.secure
    config = waypoint_bootstrap(home, ip, xds, secure)
    at = Waypoint(Address(ip, 15008), certs.svid(home, WAYPOINT).uri)
    clients = Clients(at, certs, client_ip)
    options = ("--drain-time-s", str(DRAIN_S), "--service-zone", "zone-a")
    async with await EnvoyProcess.start(config, folder, f"waypoint-{home}", *options) as envoy:
        await plane.until_obeyed(base, by=WaypointName(home, WAYPOINT))
        try:
            yield Mesh(home, manifests, plane, envoy, pods, certs, clients)
        finally:
            await clients.close()
