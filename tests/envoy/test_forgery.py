"""What neither a client nor a route of another namespace can make a destination believe."""

import pytest

from tests.support.fleet import EchoFleet
from tests.support.http2 import http2_request
from tests.support.loopback import LoopbackNet
from tests.support.manifests import HTTP, Manifest, backend, namespace, pod, route, rule
from tests.support.mesh import Mesh
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
