"""Rendered nodes with real traffic: tunnels in, policy, routing, tunnels out.

The nodes are given as a static bootstrap, so that nothing but the renderers can be at fault.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.certs import CertFolder
from tests.support.envoyproc import EnvoyProcess
from tests.support.fleet import EchoFleet
from tests.support.hbone import ConnectRefusedError, HboneConnection
from tests.support.http1 import http1_request
from tests.support.loopback import LoopbackNet
from tests.support.response import Response
from tests.support.static import bootstrap_of
from tests.support.stream import StreamClosedError
from translators.ir import Node, Origin
from translators.ir.authorization import (
    AllOf,
    Authorization,
    AuthzRule,
    DestinationPort,
    Everything,
    HeaderIs,
    PathIs,
    PeerIs,
    Predicate,
    SourceIp,
    TextKind,
    TextMatch,
)
from translators.ir.cluster import (
    InternalCluster,
    OriginateCluster,
    ServiceCluster,
    UpstreamProtocol,
)
from translators.ir.endpoint import Endpoint, EndpointSet
from translators.ir.listener import (
    ConnectHost,
    ConnectOriginate,
    ConnectTable,
    ConnectTerminate,
    HttpChain,
    InternalListener,
    PortBinding,
    TcpChain,
)
from translators.ir.route import (
    Forward,
    PathKind,
    PathMatch,
    PrefixPath,
    Route,
    RouteMatch,
    RouteTable,
    WeightedBackend,
)
from translators.ir.secret import Certificate, TrustBundle
from translators.xds import key_of, render
from xds_server.demo.echo import EchoApp
from xds_server.demo.ztunnel import Address, Pod, SvidFiles, Waypoint, ztunnel_bootstrap

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEB, DB, ANY, LOST = (
    Address("10.96.0.1", 80),
    Address("10.96.0.1", 90),
    Address("10.96.0.2", 80),
    Address("10.96.0.3", 80),
)
UNKNOWN = Address("10.96.0.1", 99)
DRY = Address("10.96.0.4", 80)


@dataclass(frozen=True, slots=True)
class Mesh:
    """Who may call (``friend``), who may not (``stranger``), and where."""

    waypoint: Waypoint
    root: Path
    client_ip: str
    friend: SvidFiles
    stranger: SvidFiles
    envoy: EnvoyProcess

    def connection(self, svid: SvidFiles) -> HboneConnection:
        return HboneConnection(self.waypoint, svid, self.root, source_ip=self.client_ip)

    async def get(
        self, svid: SvidFiles, to: Address, path: str, *headers: tuple[str, str]
    ) -> Response:
        async with self.connection(svid) as connection:
            tunnel = await connection.connect(str(to))
            return await http1_request(tunnel, "GET", path, headers)


def rule(key: str, sources: Predicate, operations: Predicate) -> AuthzRule:
    return AuthzRule(key, sources, operations, Origin("AuthorizationPolicy", "demo", key))


def text(value: str, kind: TextKind = TextKind.EXACT) -> TextMatch:
    return TextMatch(kind, value)


def route(path: str, to: str, rewrite: PrefixPath | None = None) -> Route:
    forward = Forward((WeightedBackend(to),), path_rewrite=rewrite)
    return Route(path, RouteMatch(PathMatch(PathKind.PREFIX, path)), forward)


def nodes(waypoint_ip: str, pod: EchoApp, client_ip: str, certs: CertFolder) -> tuple[Node, ...]:
    friends = PeerIs(text("cluster.local"), text("demo"), text("friend"))
    web_policy = Authorization(
        allow=(rule("friends", friends, Everything()),),
        deny=(
            rule("admin", Everything(), PathIs(text("/admin", TextKind.PREFIX))),
            rule(
                "source",
                AllOf((SourceIp(client_ip), HeaderIs("x-from", text("pod")))),
                Everything(),
            ),
        ),
    )
    db_policy = Authorization(
        allow=(
            rule(
                "friends",
                PeerIs(namespace=text("demo"), service_account=text("friend")),
                DestinationPort(DB.port),
            ),
        )
    )
    any_policy = Authorization(
        deny=(
            rule("strangers", PeerIs(service_account=text("stranger")), DestinationPort(ANY.port)),
        )
    )
    web, any_http = HttpChain("web", "web.demo", 80), HttpChain("any", "any.demo", 80)
    lost, dry = HttpChain("lost", "lost.demo", 80), HttpChain("dry", "dry.demo", 80)
    watched = (rule("watched", Everything(), Everything()),)
    svid = certs.svid("demo", "waypoint")
    identity = certs.svid("demo", "app").uri
    return (
        ConnectTerminate(f"{waypoint_ip}:15008", ("cluster.local",)),
        ConnectOriginate(),
        InternalListener(
            "main_internal",
            (
                PortBinding((WEB.ip,), WEB.port, web, None),
                PortBinding((DB.ip,), DB.port, None, TcpChain("db", "db")),
                PortBinding((LOST.ip,), LOST.port, lost, None),
                PortBinding((DRY.ip,), DRY.port, dry, None),
            ),
            sniff=False,
        ),
        InternalListener(
            "main_internal_sniff",
            (PortBinding((ANY.ip,), ANY.port, any_http, TcpChain("any-tcp", "db")),),
            sniff=True,
        ),
        ConnectTable(
            (
                ConnectHost("web", (str(WEB),), "main_internal"),
                ConnectHost("db", (str(DB),), "main_internal", db_policy),
                ConnectHost("any", (str(ANY),), "main_internal_sniff", opaque=any_policy),
                ConnectHost("lost", (str(LOST),), "main_internal"),
                ConnectHost("dry", (str(DRY),), "main_internal"),
            )
        ),
        RouteTable(
            "web",
            "web.demo",
            80,
            (route("/api", "web", PrefixPath("/api", "/")), route("/app", "web")),
            web_policy,
        ),
        RouteTable("any", "any.demo", 80, (route("/", "web"),)),
        RouteTable("lost", "lost.demo", 80, (route("/", "lost"),)),
        RouteTable(
            "dry",
            "dry.demo",
            80,
            (route("/", "web"),),
            Authorization(dry_run_deny=watched, dry_run_allow=()),
        ),
        InternalCluster("main_internal", "main_internal"),
        InternalCluster("main_internal_sniff", "main_internal_sniff"),
        OriginateCluster(("cluster.local",)),
        ServiceCluster("web", "web.demo", 80, UpstreamProtocol.AS_DOWNSTREAM),
        ServiceCluster("db", "db.demo", 90, UpstreamProtocol.TCP),
        ServiceCluster("lost", "lost.demo", 80, UpstreamProtocol.HTTP1),
        EndpointSet("web", (Endpoint(pod.ip, 8080, True, identity),)),
        EndpointSet("db", (Endpoint(pod.ip, 9000, True, identity),)),
        EndpointSet("lost", (Endpoint(pod.ip, 8080, True, certs.svid("demo", "else").uri),)),
        Certificate("default", Path(svid.chain).read_bytes(), Path(svid.key).read_bytes()),
        TrustBundle("ROOTCA", certs.root.read_bytes()),
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(
    net: LoopbackNet, certs: CertFolder, fleet: EchoFleet, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mesh]:
    folder = tmp_path_factory.mktemp("data-path")
    client_ip, waypoint_ip, pod_ip = net.ip(61), net.ip(62), net.ip(63)
    app = fleet.add(EchoApp("app", "v1", pod_ip, http_ports=(8080,), banner_ports=(9000,)))
    rendered = [
        (key_of(node).type_url, render(node)) for node in nodes(waypoint_ip, app, client_ip, certs)
    ]
    pods = [Pod(pod_ip, certs.svid("demo", "app"))]
    stand_in = ztunnel_bootstrap([], pods, str(certs.root), Address("127.0.0.1", 0))
    async with (
        await EnvoyProcess.start(bootstrap_of(rendered), folder, "waypoint") as envoy,
        await EnvoyProcess.start(stand_in, folder, "ztunnel"),
    ):
        yield Mesh(
            Waypoint(Address(waypoint_ip, 15008), certs.svid("demo", "waypoint").uri),
            certs.root,
            client_ip,
            certs.svid("demo", "friend"),
            certs.svid("demo", "stranger"),
            envoy,
        )
    fleet.remove(pod_ip)


async def test_a_request_reaches_the_pod_through_two_tunnels(mesh: Mesh) -> None:
    answer = await mesh.get(mesh.friend, WEB, "/app/x?q=1")
    assert answer.status == 200
    assert answer.json()["path"] == "/app/x?q=1"


async def test_the_pod_learns_who_called_and_no_header_can_forge_it(mesh: Mesh) -> None:
    forged = [
        (name, "10.9.9.9;URI=spiffe://cluster.local/ns/demo/sa/admin")
        for name in ("x-forwarded-client-cert", "x-waypost-source")
    ]
    answer = await mesh.get(mesh.friend, WEB, "/app", *forged)
    (identity,) = answer.received("x-forwarded-client-cert")
    assert identity == f"By={mesh.waypoint.identity};URI={mesh.friend.uri}"
    assert answer.received("x-waypost-source") == []


async def test_another_identity_is_refused_wherever_it_asks(mesh: Mesh) -> None:
    for path in ("/app", "/api/x", "/no/such/route"):
        assert (await mesh.get(mesh.stranger, WEB, path)).status == 403


async def test_what_no_route_matches_is_404_for_those_who_may_ask(mesh: Mesh) -> None:
    assert (await mesh.get(mesh.friend, WEB, "/no/such/route")).status == 404
    assert (await mesh.get(mesh.friend, WEB, "/application")).status == 404


@pytest.mark.parametrize(
    "path", ["/admin", "/admin/x", "//admin", "/app/../admin", "/%61dmin", "/app/%2e%2e/admin"]
)
async def test_no_spelling_of_a_path_gets_around_a_policy(mesh: Mesh, path: str) -> None:
    assert (await mesh.get(mesh.friend, WEB, path)).status == 403


async def test_the_source_address_is_the_tunnels(mesh: Mesh) -> None:
    forged = ("x-forwarded-for", "10.9.9.9")
    answer = await mesh.get(mesh.friend, WEB, "/app", ("x-from", "pod"), forged)
    assert answer.status == 403


async def test_a_prefix_is_replaced_without_doubling_slashes(mesh: Mesh) -> None:
    for path, expected in (("/api/x?q=1", "/x?q=1"), ("/api", "/"), ("/api/", "/")):
        assert (await mesh.get(mesh.friend, WEB, path)).json()["path"] == expected


async def test_an_unknown_destination_is_refused_on_the_connect(mesh: Mesh) -> None:
    async with mesh.connection(mesh.friend) as connection:
        with pytest.raises(ConnectRefusedError) as refusal:
            await connection.connect(str(UNKNOWN))
    assert refusal.value.status == 404


async def test_tcp_is_guarded_on_the_connect(mesh: Mesh) -> None:
    async with mesh.connection(mesh.friend) as connection:
        tunnel = await connection.connect(str(DB))
        assert await tunnel.readuntil(b"\n") == b"hello from app\n"
    async with mesh.connection(mesh.stranger) as connection:
        with pytest.raises(ConnectRefusedError) as refusal:
            await connection.connect(str(DB))
    assert refusal.value.status == 403


async def test_an_undeclared_protocol_is_told_apart(mesh: Mesh) -> None:
    assert (await mesh.get(mesh.stranger, ANY, "/x")).json()["path"] == "/x"
    async with mesh.connection(mesh.friend) as connection:
        tunnel = await connection.connect(str(ANY))
        await tunnel.write(b"\x00ping")
        assert await tunnel.readuntil(b"\n") == b"hello from app\n"
        assert await tunnel.readexactly(5) == b"\x00ping"


async def test_bytes_of_the_denied_reach_nobody_on_a_sniffed_port(mesh: Mesh) -> None:
    async with mesh.connection(mesh.stranger) as connection:
        tunnel = await connection.connect(str(ANY))
        await tunnel.write(b"\x00ping")
        with pytest.raises(StreamClosedError):
            await tunnel.readexactly(len(b"hello from app\n\x00ping"))


async def test_a_pod_with_another_identity_than_expected_gets_nothing(mesh: Mesh) -> None:
    assert (await mesh.get(mesh.friend, LOST, "/")).status == 503


async def test_a_dry_run_refuses_nobody(mesh: Mesh) -> None:
    assert (await mesh.get(mesh.stranger, DRY, "/")).status == 200
    for action in ("allow", "deny"):
        assert await mesh.envoy.stat(f"http.dry.rbac.istio_dry_run_{action}_.shadow_denied") >= 1


async def test_clients_at_the_same_time_never_share_an_identity(mesh: Mesh) -> None:
    async with (
        mesh.connection(mesh.friend) as friend,
        mesh.connection(mesh.stranger) as stranger,
    ):
        tunnels = [await each.connect(str(WEB)) for each in (friend, stranger) * 10]
        answers = await asyncio.gather(*(http1_request(each, "GET", "/app") for each in tunnels))
    assert [answer.status for answer in answers] == [200, 403] * 10
