"""One mesh for all tests of behaviour: two waypoints, four pods, and their ztunnel stand-in."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.certs import CertFolder
from tests.support.consent import PROVIDERS, Providers, consent_manifests, running_providers
from tests.support.controlplane import ControlPlane, control_plane, settings
from tests.support.dns import NameServer, name_server
from tests.support.envoyproc import EnvoyProcess
from tests.support.fleet import EchoFleet
from tests.support.issuer import ROOTS
from tests.support.loopback import LoopbackNet
from tests.support.manifests import ManifestFolder
from tests.support.mesh import Mesh, Pods, stand_in, start_pods, waypoint
from translators.ir.waypoint import Mesh as MeshFacts

DEMO, BANK = "demo", "bank"


@pytest.fixture(scope="session")
def mesh_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mesh")


@pytest.fixture(scope="session")
def manifests(mesh_folder: Path) -> ManifestFolder:
    return ManifestFolder(mesh_folder / "manifests")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def names() -> AsyncIterator[NameServer]:
    """Whom the waypoints ask for host names; ``localhost`` is there."""
    async with name_server() as server:
        server.records["localhost"] = ["127.0.0.1"]
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def plane(
    manifests: ManifestFolder, mesh_folder: Path, certs: CertFolder, names: NameServer
) -> AsyncIterator[ControlPlane]:
    mesh = MeshFacts(
        providers=PROVIDERS,
        public_roots=str(mesh_folder / ROOTS),
        dns_servers=(names.address,),
    )
    given = settings(mesh_folder, mesh=mesh)
    async with control_plane(given, manifests.root, certs.authority) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def pods(
    net: LoopbackNet, certs: CertFolder, fleet: EchoFleet, mesh_folder: Path
) -> AsyncIterator[Pods]:
    echoes = start_pods(fleet, net, 101)
    config = stand_in(echoes, certs, DEMO)
    async with await EnvoyProcess.start(config, mesh_folder, "ztunnel"):
        yield echoes


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def standing_mesh(
    plane: ControlPlane,
    pods: Pods,
    net: LoopbackNet,
    certs: CertFolder,
    manifests: ManifestFolder,
    mesh_folder: Path,
) -> AsyncIterator[Mesh]:
    """The waypoint of the namespace ``demo``, as long as the session lasts."""
    client_ip = net.ip(111)
    async with waypoint(
        DEMO, net.ip(110), plane, mesh_folder, pods, certs, manifests, client_ip
    ) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="session")
async def mesh(standing_mesh: Mesh) -> AsyncIterator[Mesh]:
    """The waypoint that most tests ask; what a test puts is gone after it."""
    yield standing_mesh
    await standing_mesh.clear()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bank(
    plane: ControlPlane,
    pods: Pods,
    net: LoopbackNet,
    certs: CertFolder,
    manifests: ManifestFolder,
    mesh_folder: Path,
) -> AsyncIterator[Mesh]:
    """The waypoint of another namespace, ``bank``."""
    client_ip = net.ip(121)
    async with waypoint(
        BANK, net.ip(120), plane, mesh_folder, pods, certs, manifests, client_ip
    ) as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def consent_servers(net: LoopbackNet) -> AsyncIterator[Providers]:
    async with running_providers(net.ip(130)) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def providers(mesh: Mesh, consent_servers: Providers) -> Providers:
    """Who may be asked for consent, and the service that they are."""
    await mesh.put("consent", *consent_manifests(consent_servers.ip))
    return consent_servers
