"""A real Envoy reaches its control plane by TLS, and shows a token or a certificate from files."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest
import pytest_asyncio

from tests.support.certs import CertFolder
from tests.support.controlplane import control_plane, eventually, settings
from tests.support.envoyproc import EnvoyProcess
from tests.support.kubeapi import Identity, KubeApi
from tests.support.load import Load
from tests.support.loopback import LoopbackNet
from tests.support.manifests import WAYPOINT, ManifestFolder, gateway, namespace
from tests.support.mesh import Mesh, Pods, waypoint, waypoint_bootstrap
from tests.support.mount import Mount
from translators.ir.bootstrap import CertificateFiles, SecureStream, TokenFile
from translators.xds.bootstrap import companions
from xds_server.ads import AdsCounters
from xds_server.identity.authority import Authority, create_authority
from xds_server.identity.certificates import CertificateCredentials
from xds_server.identity.network import Credentials
from xds_server.identity.peer import Proof, Reason
from xds_server.identity.spiffe import SpiffeId
from xds_server.identity.token_review import TokenReviews
from xds_server.identity.tokens import TokenCredentials, TokenLimits
from xds_server.serving.listeners import SecureXds
from xds_server.sources.kubernetes.login import choose_login
from xds_server.sources.kubernetes.transport import Transport

pytestmark = pytest.mark.asyncio(loop_scope="session")

HOME = "demo"
HOST = "waypost.mesh.svc"
RECONNECTED_S = 20.0
RECHECK_S = 0.5


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Place:
    """Where a secure mesh stands: its folder, its addresses, and what is shared with others."""

    folder: Path
    net: LoopbackNet
    certs: CertFolder
    pods: Pods
    first_host: int

    @asynccontextmanager
    async def mesh(
        self, credentials: Credentials, shown: TokenFile | CertificateFiles, roots: Mount
    ) -> AsyncIterator[Mesh]:
        """A mesh whose waypoint is known by ``credentials`` by what it finds in the files."""
        beside = self.folder / "bootstrap"
        beside.mkdir()
        secure = SecureStream(HOST, str(roots.file("root-cert.pem")), shown, str(beside))
        for name, content in companions(secure).items():
            (beside / name).write_text(content)
        manifests = ManifestFolder(self.folder / "manifests")
        listener = SecureXds("127.0.0.1:0", [HOST], credentials, RECHECK_S)
        given = settings(self.folder / "ca", secure=listener)
        ip, client_ip = (self.net.ip(self.first_host + number) for number in range(2))
        async with (
            control_plane(given, manifests.root, self.certs.authority) as plane,
            waypoint(
                *(HOME, ip, plane, self.folder, self.pods, self.certs, manifests, client_ip),
                secure,
            ) as mesh,
        ):
            yield mesh

    def roots(self) -> Mount:
        return Mount(self.folder / "roots", {"root-cert.pem": self.certs.authority.trust_bundle()})


def counters(mesh: Mesh) -> AdsCounters:
    return mesh.plane.server._ads.counters


async def configuration(mesh: Mesh) -> Mapping[str, int]:
    """How often the waypoint changed anything that it was told."""
    return await mesh.envoy.stats(
        r"^(listener_manager\.listener_(added|modified|in_place_updated|removed)"
        r"|cluster_manager\.cluster_(added|modified|removed))$|update_rejected$"
    )


async def reconnected(mesh: Mesh, streams: int) -> None:
    """Return when so many streams have been opened, and the last one is in sync."""
    await eventually(
        lambda: counters(mesh).streams_opened >= streams and mesh.plane.in_sync(mesh.name),
        "connected again",
        RECONNECTED_S,
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def api() -> AsyncIterator[KubeApi]:
    async with KubeApi() as one:
        yield one


def grant(api: KubeApi, token: str, account: str = WAYPOINT) -> str:
    user = f"system:serviceaccount:{HOME}:{account}"
    api.access.tokens[token] = Identity(user, audiences=("waypost",))
    return token


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def token(tmp_path_factory: pytest.TempPathFactory, api: KubeApi) -> Mount:
    folder = tmp_path_factory.mktemp("token")
    return Mount(folder / "mount", {"token": grant(api, "first")})


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def by_token(
    tmp_path_factory: pytest.TempPathFactory,
    net: LoopbackNet,
    certs: CertFolder,
    pods: Pods,
    api: KubeApi,
    token: Mount,
) -> AsyncIterator[Mesh]:
    """A waypoint that is known by its token; each answer of the API server holds for 0.2 s."""
    folder = tmp_path_factory.mktemp("by-token")
    transport = Transport(choose_login(api.write_kubeconfig(folder / "kubeconfig")))
    reviews = TokenReviews(transport, "waypost")
    limits = TokenLimits(good_for=0.2, bad_for=0.2)
    credentials = TokenCredentials(reviews, now, monotonic, limits)
    place = Place(folder, net, certs, pods, 131)
    async with place.mesh(credentials, TokenFile(str(token.file("token"))), place.roots()) as mesh:
        yield mesh


async def test_a_waypoint_with_a_token_serves(by_token: Mesh) -> None:
    mesh = by_token
    offer = mesh.offer("secure-xds")
    await mesh.put("secure-xds", offer.manifest)
    assert (await mesh.get(offer.http)).status == 200
    assert set(counters(mesh).admitted) == {Proof.TOKEN}
    [stream] = mesh.plane.server._ads.registry.streams()
    assert stream.variant == "delta"


async def test_a_new_token_is_sent_once_the_old_one_is_no_longer_good(
    by_token: Mesh, api: KubeApi, token: Mount
) -> None:
    mesh = by_token
    offer = mesh.offer("rotated")
    await mesh.put("rotated", offer.manifest)
    before, sent = await configuration(mesh), counters(mesh).resource_bytes_sent
    streams = counters(mesh).streams_opened

    token.put({"token": grant(api, "second")})
    api.access.tokens.pop("first", None)
    async with Load(lambda: mesh.tunnel(offer.http), rate=50) as load:
        await reconnected(mesh, streams + 1)

    assert counters(mesh).denied[Reason.BAD_CREDENTIAL] == 1
    assert await configuration(mesh) == before
    assert counters(mesh).resource_bytes_sent == sent
    assert set(load.outcome.statuses) == {200}
    assert not load.outcome.failures


@pytest.mark.parametrize(
    ("host", "issuer", "stat"),
    [
        ("waypost.other.svc", None, "ssl.fail_verify_san"),
        (HOST, create_authority(now()), "ssl.fail_verify_error"),
    ],
    ids=["another name", "another authority"],
)
async def test_no_token_is_shown_to_a_server_that_is_not_the_one(
    host: str,
    issuer: Authority | None,
    stat: str,
    by_token: Mesh,
    token: Mount,
    certs: CertFolder,
    tmp_path: Path,
) -> None:
    address = by_token.plane.addresses.secure
    roots = Mount(tmp_path / "roots", {"roots.pem": (issuer or certs.authority).trust_bundle()})
    shown = TokenFile(str(token.file("token")))
    secure = SecureStream(host, str(roots.file("roots.pem")), shown, str(tmp_path))
    for name, content in companions(secure).items():
        (tmp_path / name).write_text(content)
    seen = len(by_token.plane.server._ads.registry.streams()), counters(by_token).streams_refused
    config = waypoint_bootstrap(HOME, "127.0.0.1", address, secure)
    envoy = EnvoyProcess(config, tmp_path, "doubtful")
    try:
        await eventually(lambda: has_admin(envoy), "started")
        await envoy.wait_stat(f"cluster.xds-grpc.{stat}", 1)
        assert seen == (
            len(by_token.plane.server._ads.registry.streams()),
            counters(by_token).streams_refused,
        )
    finally:
        envoy.kill()


async def test_an_api_server_that_is_away_changes_nothing_for_streams(
    by_token: Mesh, api: KubeApi
) -> None:
    mesh = by_token
    streams = counters(mesh).streams_opened
    await api.stop()
    try:
        offer = mesh.offer("away")
        await mesh.put("away", offer.manifest)
        await asyncio.sleep(2 * RECHECK_S)
        assert (await mesh.get(offer.http)).status == 200
        assert counters(mesh).streams_opened == streams
    finally:
        await api.start()


async def test_a_waypoint_that_runs_as_somebody_else_is_let_go_and_comes_back(
    by_token: Mesh,
) -> None:
    mesh = by_token
    offer = mesh.offer("other-account")
    await mesh.put("other-account", offer.manifest)
    streams = counters(mesh).streams_opened
    before = await configuration(mesh)
    annotated = {"gateway.istio.io/service-account": "somebody-else"}
    plain = gateway(HOME)
    other = plain | {"metadata": plain["metadata"] | {"annotations": annotated}}

    mesh.folder.put(HOME, namespace(HOME), other, *mesh.pods.manifests(HOME))
    await eventually(lambda: counters(mesh).denied[Reason.OTHER_ACCOUNT] >= 2, "denied", 20)
    assert (await mesh.get(offer.http)).status == 200
    mesh.folder.put(HOME, namespace(HOME), plain, *mesh.pods.manifests(HOME))
    await reconnected(mesh, streams + 1)

    assert await configuration(mesh) == before
    assert (await mesh.get(offer.http)).status == 200


async def test_a_waypoint_is_known_by_its_certificate_and_shows_the_latest(
    tmp_path: Path, net: LoopbackNet, certs: CertFolder, pods: Pods
) -> None:
    place = Place(tmp_path, net, certs, pods, 141)
    svid = Mount(tmp_path / "svid", certificate(certs.authority, timedelta(seconds=10)))
    shown = CertificateFiles(str(svid.file("cert-chain.pem")), str(svid.file("key.pem")))
    credentials = CertificateCredentials("cluster.local", now)
    roots = place.roots()
    async with place.mesh(credentials, shown, roots) as mesh:
        offer = mesh.offer("by-certificate")
        await mesh.put("by-certificate", offer.manifest)
        assert (await mesh.get(offer.http)).status == 200

        before = await configuration(mesh)
        svid.put(certificate(certs.authority))
        more = certs.authority.trust_bundle() + create_authority(now()).trust_bundle()
        roots.put({"root-cert.pem": more})
        await reconnected(mesh, 2)

        assert counters(mesh).admitted == {Proof.CERTIFICATE: 2}
        assert counters(mesh).denied == {Reason.EXPIRED: 1}
        assert await configuration(mesh) == before
        assert (await mesh.get(offer.http)).status == 200


def has_admin(envoy: EnvoyProcess) -> bool:
    with suppress(FileNotFoundError, ValueError):
        return bool(envoy.admin)
    return False


def certificate(authority: Authority, ttl: timedelta = timedelta(hours=1)) -> dict[str, bytes]:
    """A fresh certificate of the waypoint, and its key."""
    made = authority.issue(SpiffeId("cluster.local", HOME, WAYPOINT), now(), ttl)
    return {"cert-chain.pem": made.chain, "key.pem": made.key}
