"""Everything that runs during the demo: pods, a control plane, a waypoint, and ztunnels.

All of it lives on a loopback network of its own and in a folder of its own, and needs neither root
nor a cluster.
"""

import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from translators.ir.bootstrap import Bootstrap, node_id
from translators.ir.waypoint import WaypointName
from translators.resources.core import Pod as PodManifest
from translators.xds.bootstrap import to_json
from xds_server.demo import ztunnel
from xds_server.demo.bookinfo import NAMESPACE, Bookinfo, copy_bookinfo
from xds_server.demo.child import Child
from xds_server.demo.echo import Echo, EchoApp
from xds_server.demo.network import LoopbackNetwork
from xds_server.demo.ztunnel import Address, Client, SvidFiles
from xds_server.identity.authority import Authority
from xds_server.identity.authority_store import open_authority
from xds_server.identity.durable_file import PRIVATE, PUBLIC, create_durably
from xds_server.identity.spiffe import SpiffeId

WAYPOINT = WaypointName(NAMESPACE, "waypoint")
SERVICE_PORT = 9080
_ASK_TIMEOUT = aiohttp.ClientTimeout(total=1)
_TRUST_DOMAIN = "cluster.local"
_NO_SERVICE = "10.96.0.99"
_SERVER, _WAYPOINT, _ZTUNNEL = 100, 101, 102  # host numbers


@dataclass(frozen=True, slots=True)
class Stage:
    """Where things are, once everything runs.

    ``reader`` leads to reviews as productpage, ``stranger`` as details, and ``nowhere`` to an
    address that is no service's. Plain TCP; what is sent there goes through the waypoint.
    """

    bookinfo: Bookinfo
    children: tuple[Child, ...]
    reader: Address
    stranger: Address
    nowhere: Address
    server_admin: str
    waypoint_admin: str
    waypoint_log: Path


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is decided before anything runs."""

    folder: Path
    network: LoopbackNetwork
    bookinfo: Bookinfo
    authority: Authority

    def address(self, host: int, port: int) -> Address:
        return Address(self.network.ip(host), port)

    @property
    def waypoint(self) -> ztunnel.Waypoint:
        identity = SpiffeId(_TRUST_DOMAIN, NAMESPACE, WAYPOINT.name)
        return ztunnel.Waypoint(self.address(_WAYPOINT, ztunnel.HBONE_PORT), identity.uri)


@asynccontextmanager
async def set_stage(envoy: Path, folder: Path) -> AsyncIterator[Stage]:
    """Start everything in the empty ``folder``, and stop it in the end.

    ``envoy`` is the binary. Raises OSError, or ChildFailed if a program does not get ready.
    """
    async with AsyncExitStack() as stack:
        network = stack.enter_context(LoopbackNetwork())
        bookinfo = copy_bookinfo(folder / "manifests", network.prefix)
        plan = _Plan(folder, network, bookinfo, open_authority(folder / "ca", datetime.now(UTC)))
        for pod in bookinfo.pods():
            await stack.enter_async_context(Echo(_application(pod)))
        ways = _ways(plan)
        ztunnels = _configured(plan, "ztunnel", json.dumps(_ztunnel_bootstrap(plan, ways)))
        waypoint = _configured(plan, "waypoint", to_json(_waypoint_bootstrap(plan)))
        server = stack.enter_context(_running("control-plane", _serve(plan), folder))
        hbone = stack.enter_context(_running("ztunnel", _envoy(envoy, ztunnels), folder))
        await server.wait_for(_answering(f"{_server_admin(plan)}/readyz"))
        proxy = stack.enter_context(_running("waypoint", _envoy(envoy, waypoint), folder))
        await hbone.wait_for(_answering(f"http://{_admin(plan, _ZTUNNEL)}/ready"))
        await proxy.wait_for(_answering(f"http://{_admin(plan, _WAYPOINT)}/ready"))
        yield _stage(plan, ways, (server, proxy, hbone))


def _stage(plan: _Plan, ways: tuple[Client, ...], children: tuple[Child, ...]) -> Stage:
    reader, stranger, nowhere = (way.listen for way in ways)
    return Stage(
        bookinfo=plan.bookinfo,
        children=children,
        reader=reader,
        stranger=stranger,
        nowhere=nowhere,
        server_admin=_server_admin(plan),
        waypoint_admin=f"http://{_admin(plan, _WAYPOINT)}",
        waypoint_log=children[1].log,
    )


def _application(pod: PodManifest) -> EchoApp:
    """What runs in a pod: it listens where the manifest says."""
    labels = pod.meta.labels
    ports = tuple(port.port for port in pod.ports)
    return EchoApp(labels["app"], labels["version"], pod.ips[0], http_ports=ports)


def _ways(plan: _Plan) -> tuple[Client, Client, Client]:
    """Productpage's way to reviews, that of details, and productpage's to no service at all."""
    reviews = Address(plan.bookinfo.virtual_ip("reviews"), SERVICE_PORT)
    productpage, details = plan.bookinfo.pod("productpage"), plan.bookinfo.pod("details")
    return (
        _way(plan, productpage, 15001, reviews),
        _way(plan, details, 15001, reviews),
        _way(plan, productpage, 15002, Address(_NO_SERVICE, SERVICE_PORT)),
    )


def _way(plan: _Plan, pod: PodManifest, port: int, destination: Address) -> Client:
    listen = Address(pod.ips[0], port)
    return Client(listen, _svid(plan, pod), destination, plan.waypoint)


def _svid(plan: _Plan, pod: PodManifest) -> SvidFiles:
    """The identity of a pod as files; issued when it is first asked for."""
    identity = SpiffeId(_TRUST_DOMAIN, NAMESPACE, pod.service_account)
    folder = plan.folder / "svids"
    folder.mkdir(exist_ok=True)
    chain = folder / f"{pod.service_account}.pem"
    key = folder / f"{pod.service_account}.key"
    if not key.exists():
        svid = plan.authority.issue(identity, datetime.now(UTC))
        create_durably(chain, svid.chain, PUBLIC)
        create_durably(key, svid.key, PRIVATE)
    return SvidFiles(identity.uri, str(chain), str(key))


def _ztunnel_bootstrap(plan: _Plan, ways: tuple[Client, ...]) -> ztunnel.JsonObject:
    pods = [ztunnel.Pod(pod.ips[0], _svid(plan, pod)) for pod in plan.bookinfo.pods()]
    roots = plan.folder / "roots.pem"
    roots.write_bytes(plan.authority.trust_bundle())
    return ztunnel.ztunnel_bootstrap(ways, pods, str(roots), _admin(plan, _ZTUNNEL))


def _waypoint_bootstrap(plan: _Plan) -> Bootstrap:
    """What ``waypost bootstrap`` prints for this waypoint."""
    listen = plan.waypoint.address
    return Bootstrap(
        WAYPOINT,
        node_id(WAYPOINT, listen.ip),
        xds=str(plan.address(_SERVER, 15010)),
        bind=str(listen),
        admin=str(_admin(plan, _WAYPOINT)),
    )


def _serve(plan: _Plan) -> list[str]:
    return [
        *(sys.executable, "-m", "xds_server", "serve"),
        *("--manifests", str(plan.bookinfo.folder)),
        *("--ca-dir", str(plan.folder / "ca")),
        *("--xds", str(plan.address(_SERVER, 15010))),
        *("--admin", str(plan.address(_SERVER, 15014))),
    ]


def _envoy(binary: Path, config: Path) -> list[str]:
    return [
        *(str(binary), "-c", str(config)),
        # Any number of Envoys may run on this machine.
        *("--use-dynamic-base-id", "--concurrency", "1"),
        # The story reads the access log, and waits for it.
        *("--log-level", "warning", "--file-flush-interval-msec", "50"),
    ]


def _configured(plan: _Plan, name: str, bootstrap: str) -> Path:
    path = plan.folder / f"{name}.json"
    path.write_text(bootstrap)
    return path


@contextmanager
def _running(name: str, command: list[str], folder: Path) -> Iterator[Child]:
    child = Child(name, command, folder / f"{name}.log")
    try:
        yield child
    finally:
        child.stop()


def _admin(plan: _Plan, host: int) -> Address:
    return plan.address(host, 15000)


def _server_admin(plan: _Plan) -> str:
    return f"http://{plan.address(_SERVER, 15014)}"


def _answering(url: str) -> Callable[[], Awaitable[bool]]:
    """Asks whether there is a 200 at ``url``."""

    async def ask() -> bool:
        try:
            async with aiohttp.request("GET", url, timeout=_ASK_TIMEOUT) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    return ask
