"""What is set for the mesh as a whole: layered policies, bounded connections, tokens first."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.certs import CertFolder
from tests.support.consent import GRPC_PORT, PROVIDERS, GrpcProvider, consent_manifests
from tests.support.controlplane import control_plane, settings
from tests.support.hbone import ConnectRefusedError
from tests.support.http1 import http1_request
from tests.support.issuer import Issuer
from tests.support.loopback import LoopbackNet
from tests.support.manifests import TCP, WAYPOINT, Manifest, ManifestFolder, allows
from tests.support.mesh import Mesh, Pods, waypoint
from tests.support.stream import StreamClosedError
from translators.ir.waypoint import Mesh as MeshFacts

pytestmark = pytest.mark.asyncio(loop_scope="session")

AGE_S = 1.5


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def strict(
    pods: Pods, net: LoopbackNet, certs: CertFolder, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mesh]:
    """A waypoint of a mesh with all such settings."""
    folder = tmp_path_factory.mktemp("strict")
    facts = MeshFacts(
        providers=PROVIDERS,
        tokens_before_custom=True,
        layered_authorization=True,
        max_connection_ms=int(AGE_S * 1000),
    )
    manifests = ManifestFolder(folder / "manifests")
    given = settings(folder, mesh=facts)
    async with (
        control_plane(given, manifests.root, certs.authority) as plane,
        waypoint("demo", net.ip(140), plane, folder, pods, certs, manifests, net.ip(141)) as one,
    ):
        yield one


def layered(name: str, *rules: Manifest, action: str = "DENY", app: str = "") -> Manifest:
    """A policy of the whole namespace, or of pods with a Gateway's label."""
    selector = {"matchLabels": {"gateway.networking.k8s.io/gateway-name": app}}
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": "demo"},
        "spec": {"action": action, "rules": list(rules), **({"selector": selector} if app else {})},
    }


STRANGER = {"principals": ["cluster.local/ns/demo/sa/stranger"]}


@pytest.mark.parametrize("app", ["", WAYPOINT])
async def test_policies_without_targets_are_enforced_on_the_tunnel(strict: Mesh, app: str) -> None:
    web = strict.offer("layered")
    deny = layered("layered", allows(STRANGER), app=app)
    await strict.put("layered", web.manifest)
    assert (await strict.get(web.http, caller=strict.stranger)).status == 200
    await strict.put("layered-policy", deny)
    for to in (web.http, web.tcp, web.undeclared):
        with pytest.raises(ConnectRefusedError) as refusal:
            await strict.tunnel(to, strict.stranger)
        assert refusal.value.status == 403
    assert (await strict.get(web.http)).status == 200
    await strict.remove("layered-policy", deny)


async def test_policies_of_other_pods_are_not(strict: Mesh) -> None:
    web = strict.offer("not-layered")
    deny = layered("not-layered", allows(STRANGER), app="another-waypoint")
    await strict.put("not-layered", web.manifest, deny)
    assert (await strict.get(web.http, caller=strict.stranger)).status == 200


async def test_layers_and_targets_must_both_allow(strict: Mesh) -> None:
    db = strict.offer("both")
    both = [
        layered("both-layer", allows({"namespaces": ["demo"]}), action="ALLOW"),
        {
            **layered("both-target", allows(STRANGER), action="ALLOW"),
            "spec": {
                "targetRefs": [{"group": "", "kind": "Service", "name": "both"}],
                "rules": [allows({"principals": ["cluster.local/ns/demo/sa/friend"]})],
            },
        },
    ]
    await strict.put("both", db.manifest, *both)
    try:
        async with await strict.tunnel(db.tcp):
            pass
        for caller in (strict.stranger, strict.certs.svid("bank", "teller")):
            with pytest.raises(ConnectRefusedError):
                await strict.tunnel(db.tcp, caller)
    finally:
        await strict.remove("both", db.manifest, *both)


async def test_a_tcp_tunnel_ends_at_the_bound(strict: Mesh) -> None:
    db = strict.offer("aged-tcp")
    await strict.put("aged-tcp", db.manifest)
    async with await strict.tunnel(db.banner) as tunnel:
        await tunnel.readuntil(b"\n")
        async with asyncio.timeout(AGE_S + 5):
            with pytest.raises(StreamClosedError):
                await tunnel.readexactly(1)


async def test_a_tunnel_that_goes_by_its_server_name_ends_at_the_bound(strict: Mesh) -> None:
    db = strict.offer("aged-tls", ports=(("tls", 443, TCP),))
    deny = layered("aged-tls", {"when": [{"key": "connection.sni", "values": ["gone.example"]}]})
    target = {"targetRefs": [{"group": "", "kind": "Service", "name": "aged-tls"}]}
    await strict.put("aged-tls", db.manifest, {**deny, "spec": {**deny["spec"], **target}})
    async with await strict.tunnel(db.at(443)) as tunnel:
        await tunnel.write(b"\0ping")
        assert await tunnel.readexactly(5) == b"\0ping"
        async with asyncio.timeout(AGE_S + 5):
            with pytest.raises(StreamClosedError):
                await tunnel.readexactly(1)


async def test_a_long_answer_ends_and_a_connection_drains_at_the_bound(strict: Mesh) -> None:
    web = strict.offer("aged-http")
    await strict.put("aged-http", web.manifest)
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await strict.get(web.http, "/?delay=20")
    assert answer.status in (408, 504)
    assert loop.time() - began < AGE_S + 5
    async with await strict.tunnel(web.http) as tunnel:
        seen = []
        while not seen or seen[-1] is None:
            assert loop.time() - began < 4 * AGE_S + 10
            try:
                answer = await http1_request(tunnel, "GET", "/?delay=0.2")
            except StreamClosedError:
                break
            assert answer.status == 200
            seen.append(answer.header("connection"))
    assert seen


async def test_a_provider_sees_verified_claims(strict: Mesh, net: LoopbackNet) -> None:
    ip, issuer = net.ip(142), Issuer("first.example")
    provider = GrpcProvider(ip, GRPC_PORT)
    web = strict.offer("tokens-first")
    target = {"targetRefs": [{"group": "", "kind": "Service", "name": "tokens-first"}]}
    security = {"apiVersion": "security.istio.io/v1"}
    meta = {"metadata": {"name": "tokens-first", "namespace": "demo"}}
    rules = [{"when": [{"key": "request.auth.claims[tier]", "values": ["gold"]}]}]
    await provider.start()
    try:
        await strict.put(
            "tokens-first",
            *consent_manifests(ip),
            web.manifest,
            {
                **security,
                **meta,
                "kind": "RequestAuthentication",
                "spec": {**target, "jwtRules": [{"issuer": issuer.name, "jwks": issuer.jwks}]},
            },
            {
                **security,
                **meta,
                "kind": "AuthorizationPolicy",
                "spec": {
                    **target,
                    "action": "CUSTOM",
                    "provider": {"name": "grpc"},
                    "rules": rules,
                },
            },
        )
        for tier, asked in (("gold", 1), ("tin", 1)):
            token = [("authorization", f"Bearer {issuer.token(tier=tier)}")]
            assert (await strict.get(web.http, "/", token)).status == 200
            assert len(provider.questions) == asked
        assert provider.questions[0].claims["payload"]["tier"] == "gold"
        bad = [("authorization", "Bearer garbage")]
        assert (await strict.get(web.http, "/", bad)).status == 401
        assert len(provider.questions) == 1
    finally:
        await provider.stop()
