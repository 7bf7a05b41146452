"""What neither a client nor a route of another namespace can make a destination believe."""

from typing import Any

import pytest

from tests.support.fleet import EchoFleet
from tests.support.http2 import http2_request
from tests.support.loopback import LoopbackNet
from tests.support.manifests import (
    HTTP,
    Manifest,
    allows,
    backend,
    grant,
    namespace,
    pod,
    policy,
    route,
    rule,
)
from tests.support.mesh import Mesh, Offer
from tests.support.scripted import Answer, ScriptedPod

pytestmark = pytest.mark.asyncio(loop_scope="session")

XFCC = "x-forwarded-client-cert"


def of_guests(name: str, *filters: Manifest, **more: Manifest) -> Manifest:
    """A consumer route of the namespace ``guests``."""
    made = route(
        name,
        "guests",
        name,
        rule(to=[backend(name, namespace="demo", **more)], filters=list(filters)),
    )
    made["spec"]["parentRefs"][0]["namespace"] = "demo"
    return made


@pytest.mark.parametrize("edit", ["set", "add", "remove"])
async def test_routes_do_not_say_who_calls(mesh: Mesh, edit: str) -> None:
    web = mesh.offer(f"forged-{edit}")
    forged = {"name": XFCC, "value": "By=x;URI=spiffe://cluster.local/ns/demo/sa/boss"}
    change = {"remove": [XFCC]} if edit == "remove" else {edit: [forged]}
    modifier = {"type": "RequestHeaderModifier", "requestHeaderModifier": change}
    theirs = of_guests(web.name, modifier)
    await mesh.put(web.name, web.manifest, namespace("guests"), theirs)
    guest = mesh.certs.svid("guests", "any")
    answer = await mesh.get(web.http, caller=guest)
    assert answer.status == 500, "a rule that would forge who calls is not followed"
    by_backend = route(
        web.name, "demo", web.name, rule(to=[{**backend(web.name), "filters": [modifier]}])
    )
    await mesh.put(f"{web.name}-own", by_backend)
    assert (await mesh.get(web.http)).status == 500


async def test_clients_do_not_steer_the_proxy(
    mesh: Mesh, net: LoopbackNet, fleet: EchoFleet
) -> None:
    flaky = ScriptedPod(net.ip(162), HTTP)
    fleet.host(flaky.ip, flaky)
    try:
        web = mesh.offer("steered", {"app": "steered"})
        manifests = pod("steered", "demo", flaky.ip, {"app": "steered"}, captured=False)
        await mesh.put("steered", web.manifest, manifests)
        steering = [
            ("x-envoy-retry-on", "5xx"),
            ("x-envoy-max-retries", "3"),
            ("x-envoy-upstream-rq-timeout-ms", "100"),
            ("x-envoy-upstream-rq-per-try-timeout-ms", "100"),
            ("x-envoy-decorator-operation", "forged"),
        ]
        flaky.script(500, 200)
        assert (await mesh.get(web.http, "/", steering, method="POST")).status == 500
        flaky.script(Answer(delay_s=0.5))
        assert (await mesh.get(web.http, "/", steering, method="POST")).status == 200
        async with mesh.http2(web.http) as connection:
            flaky.script(500, 200)
            answer = await http2_request(connection, "POST", "/", steering)
        assert answer.status == 500
    finally:
        fleet.remove(flaky.ip)


async def test_no_route_of_another_namespace_leads_around_policies(mesh: Mesh) -> None:
    """Whoever may call one service gets no further by a route that leads from it to another."""
    web, vault = mesh.offer("lobby"), mesh.offer("vault", {"pod": "v2"})
    guard = policy("vault", "demo", allows({"namespaces": ["demo"]}), service="vault")
    port = policy(
        "lobby", "demo", allows(None, {"ports": ["8000"]}), action="DENY", service="lobby"
    )
    manifests = (web.manifest, vault.manifest, guard, port, namespace("guests"))
    guest = mesh.certs.svid("guests", "any")
    await mesh.put("lobby", *manifests)
    assert (await mesh.get(vault.http, caller=guest)).status == 403

    def theirs(*to: Manifest, **more: Any) -> Manifest:
        made = route("lobby", "guests", "lobby", rule(to=to, **more))
        made["spec"]["parentRefs"][0]["namespace"] = "demo"
        return made

    for away in (backend("vault", namespace="demo"), backend("lobby", 1, 8000, namespace="demo")):
        await mesh.put("lobby", *manifests, theirs(away))
        assert (await mesh.get(web.http, caller=guest)).status == 500
        mirrored = {
            "type": "RequestMirror",
            "requestMirror": {
                "backendRef": {key: value for key, value in away.items() if key != "weight"}
            },
        }
        own = backend("lobby", namespace="demo")
        await mesh.put("lobby", *manifests, theirs(own, filters=[mirrored]))
        assert (await mesh.get(web.http, caller=guest)).status == 200
    assert not await copies(mesh, vault)
    permitted = grant("demo", "HTTPRoute", "guests")
    await mesh.put("lobby", *manifests, permitted, theirs(backend("vault", namespace="demo")))
    answer = await mesh.get(web.http, caller=guest)
    assert (answer.status, answer.header("x-echo-version")) == (200, "v2")
    assert await copies(mesh, vault) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/admin"}},
        {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/admin"}},
        {"hostname": "admin.example"},
    ],
)
async def test_no_route_of_another_namespace_rewrites_what_policies_have_seen(
    mesh: Mesh, change: Manifest
) -> None:
    web = mesh.offer("rewritten")
    deny = policy(
        "rewritten",
        "demo",
        allows(None, {"paths": ["/admin*"]}),
        allows(None, {"hosts": ["admin.example"]}),
        action="DENY",
        service="rewritten",
    )
    rewrite = {"type": "URLRewrite", "urlRewrite": change}
    theirs = of_guests("rewritten", rewrite)
    await mesh.put("rewritten", web.manifest, deny, namespace("guests"), theirs)
    assert (await mesh.get(web.http, "/", caller=mesh.certs.svid("guests", "any"))).status == 500
    assert (await mesh.get(web.http, "/")).status == 200


async def copies(mesh: Mesh, to: Offer) -> int:
    """How many requests the waypoint has sent to a service."""
    name = f"inbound-vip_80_http_{to.name}_demo_svc_cluster_local"
    counters = await mesh.envoy.stats(rf"^cluster\.{name}\.upstream_rq_total$")
    return sum(counters.values())
