"""What a route is attached to: services, their ports and what they speak, and whose it is."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.support.http1 import http1_request
from tests.support.manifests import H2C, HTTP, TCP, Manifest, backend, namespace, path, route, rule
from tests.support.mesh import Mesh, Offer

pytestmark = pytest.mark.asyncio(loop_scope="session")


def tagged(name: str, tag: str, *matches: Manifest) -> Manifest:
    """A rule whose requests arrive with ``x-tag``."""
    edit = {"set": [{"name": "x-tag", "value": tag}]}
    filters = [{"type": "RequestHeaderModifier", "requestHeaderModifier": edit}]
    return rule(*matches, to=[backend(name)], filters=filters)


async def tag(mesh: Mesh, web: Offer, where: str = "/", **more: Any) -> str | int:
    """Which rule took a request, or the status that it got instead of a rule's destination."""
    answer = await mesh.get(more.pop("to", web.http), where, **more)
    if answer.status != 200:
        return answer.status
    return next(iter(answer.received("x-tag")), "untouched")


def attached(manifest: Manifest, *parents: Mapping[str, Any]) -> Manifest:
    """The route with these parents instead; each is a Service unless it says otherwise."""
    refs = [{"group": "", "kind": "Service", **parent} for parent in parents]
    return {**manifest, "spec": {**manifest["spec"], "parentRefs": refs}}


async def test_a_route_of_several_services(mesh: Mesh) -> None:
    one, two = mesh.offer("several-1"), mesh.offer("several-2")
    shared = route("several", "demo", "several-1", tagged("several-1", "shared"))
    parents = {"name": "several-1"}, {"name": "several-2", "port": 80}
    await mesh.put("several", one.manifest, two.manifest, attached(shared, *parents))
    assert await tag(mesh, one) == "shared"
    assert await tag(mesh, one, to=one.undeclared) == "shared"
    assert await tag(mesh, two) == "shared"
    assert await tag(mesh, two, to=two.undeclared) == "untouched"


async def test_several_routes_of_one_port_and_one_goes_away(mesh: Mesh) -> None:
    web = mesh.offer("joint")
    general = route("joint-a", "demo", "joint", tagged("joint", "general", path("/")))
    special = route("joint-b", "demo", "joint", tagged("joint", "special", path("/special")))
    await mesh.put("joint", web.manifest, general)
    await mesh.put("joint-special", special)
    async with await mesh.tunnel(web.http) as tunnel:
        for where, expected in (("/", "general"), ("/special/x", "special")):
            answer = await http1_request(tunnel, "GET", where)
            assert answer.received("x-tag") == [expected]
        await mesh.remove("joint-special", special)
        # On the connection that is open, at once.
        answer = await http1_request(tunnel, "GET", "/special/x")
        assert answer.received("x-tag") == ["general"]


async def test_the_last_route_goes_and_the_service_answers_as_without_one(mesh: Mesh) -> None:
    web = mesh.offer("bare")
    only = route("bare", "demo", "bare", tagged("bare", "only", path("/only")))
    await mesh.put("bare", web.manifest)
    await mesh.put("bare-route", only)
    assert await tag(mesh, web, "/other") == 404
    await mesh.remove("bare-route", only)
    assert await tag(mesh, web, "/other") == "untouched"


async def test_the_older_route_wins(mesh: Mesh) -> None:
    """HTTPRouteMatchingAcrossRoutes: equal matches go by age, then by name."""
    web = mesh.offer("age")
    names = {"a": "2024-05-01T00:00:00Z", "b": "2023-05-01T00:00:00Z", "c": "2023-05-01T00:00:00Z"}
    routes = []
    for name, created in names.items():
        one = route(f"age-{name}", "demo", "age", tagged("age", name, path("/x")))
        meta = {**one["metadata"], "creationTimestamp": created}
        routes.append({**one, "metadata": meta})
    await mesh.put("age", web.manifest, *routes)
    assert await tag(mesh, web, "/x") == "b"


async def test_consumer_route(mesh: Mesh) -> None:
    """MeshConsumerRoute: a route in another namespace is for that namespace's clients alone."""
    web = mesh.offer("consumer")
    parent = {"name": "consumer", "namespace": "demo"}
    edit = {"set": [{"name": "x-tag", "value": "consumer"}]}
    to = [{**backend("consumer"), "namespace": "demo"}]
    filters = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": edit}]
    own = rule(path("/theirs"), to=to, filters=filters)
    theirs = attached(route("consumer", "shopper", "consumer", own), parent)
    await mesh.put("consumer", web.manifest, namespace("shopper"), theirs)
    shopper = mesh.certs.svid("shopper", "client")
    got = await mesh.get(web.http, "/theirs", caller=shopper)
    assert (got.status, got.header("x-tag")) == (200, "consumer")
    assert (await mesh.get(web.http, "/other", caller=shopper)).status == 404
    got = await mesh.get(web.http, "/theirs")
    assert (got.status, got.header("x-tag")) == (200, None)


async def test_cluster_ip_matching(mesh: Mesh) -> None:
    """MeshClusterIPMatching: it is the address that tells services apart, not the Host header."""
    one, two = mesh.offer("by-ip-1"), mesh.offer("by-ip-2")
    only = route("by-ip", "demo", "by-ip-1", tagged("by-ip-1", "first"))
    await mesh.put("by-ip", one.manifest, two.manifest, only)
    hosts = ("by-ip-1", "by-ip-2.demo.svc.cluster.local", one.ip, two.ip)
    for host in hosts:
        assert await tag(mesh, one, headers=[("host", host)]) == "first"
        assert await tag(mesh, two, headers=[("host", host)]) == "untouched"


async def test_hostnames_of_a_route_mean_nothing_in_the_mesh(mesh: Mesh) -> None:
    web = mesh.offer("hostnames")
    one = route("hostnames", "demo", "hostnames", tagged("hostnames", "taken"))
    given = {**one, "spec": {**one["spec"], "hostnames": ["elsewhere.example"]}}
    await mesh.put("hostnames", web.manifest, given)
    assert await tag(mesh, web) == "taken"


async def test_named_route_rule(mesh: Mesh) -> None:
    """MeshHTTPRouteNamedRouteRule: a name can be given, and the access log tells it."""
    web = mesh.offer("named")
    named = {**tagged("named", "yes", path("/named")), "name": "the-named-rule"}
    await mesh.put("named", web.manifest, route("named", "demo", "named", named))
    assert await tag(mesh, web, "/named") == "yes"
    await mesh.envoy.wait_until(
        lambda: "the-named-rule" in mesh.envoy.log(), "logging the rule's name"
    )


HTTP1, HTTP2 = "HTTP/1.1", "HTTP/2"


@pytest.mark.parametrize(
    ("declared", "target", "protocol"),
    [
        ("http", HTTP, HTTP1),
        ("HTTP", HTTP, HTTP1),
        ("http2", H2C, HTTP2),
        ("grpc", H2C, HTTP2),
        ("kubernetes.io/h2c", H2C, HTTP2),
        ("kubernetes.io/ws", HTTP, HTTP1),
    ],
)
async def test_app_protocol(mesh: Mesh, declared: str, target: int, protocol: str) -> None:
    name = f"app-{declared.lower().replace('/', '-').replace('.', '-')}-{declared.isupper()}"
    web = typed(mesh, name.lower(), declared, target)
    await mesh.put(web.name, web.manifest, only_tagged(web))
    answer = await mesh.get(web.http)
    assert answer.status == 200
    assert answer.json()["protocol"] == protocol
    assert answer.received("x-tag") == ["routed"]


@pytest.mark.parametrize("declared", ["https", "tls", "tcp", "kubernetes.io/wss", "redis"])
async def test_app_protocols_that_are_no_plain_http_are_passed_through(
    mesh: Mesh, declared: str
) -> None:
    name = f"app-{declared.replace('/', '-').replace('.', '-')}"
    web = typed(mesh, name, declared, TCP)
    await mesh.put(name, web.manifest, only_tagged(web))
    async with await mesh.tunnel(web.http) as tunnel:
        await tunnel.write(b"\x16\x03\x01 no request at all\n")
        assert await tunnel.readuntil(b"\n") == b"\x16\x03\x01 no request at all\n"


def typed(mesh: Mesh, name: str, app_protocol: str, target: int) -> Offer:
    """A service whose only port says by ``appProtocol`` what it speaks; its name says nothing."""
    web = mesh.offer(name, ports=(("main", 80, target),))
    spec = web.manifest["spec"]
    ports = [{**port, "appProtocol": app_protocol} for port in spec["ports"]]
    return replace(web, manifest={**web.manifest, "spec": {**spec, "ports": ports}})


def only_tagged(web: Offer) -> Manifest:
    return route(web.name, "demo", web.name, tagged(web.name, "routed"))


async def test_app_protocol_beats_the_name_of_the_port(mesh: Mesh) -> None:
    web = mesh.offer("beats", ports=(("tcp", 80, HTTP),))
    spec = web.manifest["spec"]
    ports = [{**port, "appProtocol": "http"} for port in spec["ports"]]
    declared = {**web.manifest, "spec": {**spec, "ports": ports}}
    await mesh.put("beats", declared, only_tagged(web))
    assert await tag(mesh, web) == "routed"


async def test_a_headless_service_as_a_backend(mesh: Mesh) -> None:
    web, hidden = mesh.offer("front"), mesh.offer("hidden", {"pod": "v2"})
    spec = {**hidden.manifest["spec"], "clusterIP": "None", "clusterIPs": ["None"]}
    headless = {**hidden.manifest, "spec": spec}
    one = rule(to=[backend("hidden")])
    await mesh.put("front", web.manifest, headless, route("front", "demo", "front", one))
    answer = await mesh.get(web.http)
    assert (answer.status, answer.header("x-echo-version")) == (200, "v2")


async def test_endpoints_that_were_written_by_hand(mesh: Mesh) -> None:
    """A Service without a selector, and the EndpointSlice that names its endpoints."""
    web = mesh.offer("manual")
    spec = {key: value for key, value in web.manifest["spec"].items() if key != "selector"}
    service = {**web.manifest, "spec": {**spec, "ports": [{"name": "http", "port": 80}]}}
    by_hand = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "manual-1",
            "namespace": "demo",
            "labels": {"kubernetes.io/service-name": "manual"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": HTTP}],
        "endpoints": [{"addresses": [mesh.pods.plain.ip]}],
    }
    await mesh.put("manual", service, by_hand, only_tagged(web))
    answer = await mesh.get(web.http)
    assert (answer.status, answer.header("x-echo-version")) == (200, "plain")


async def test_a_target_port_by_name(mesh: Mesh) -> None:
    web = mesh.offer("by-name", {"app": "by-name"}, ports=(("http", 80, HTTP),))
    ports = [{"name": "http", "port": 80, "targetPort": "web"}]
    service = {**web.manifest, "spec": {**web.manifest["spec"], "ports": ports}}
    pod: Any = next(
        one for one in mesh.pods.manifests("demo") if one["metadata"]["name"] == "plain"
    )
    container = {"name": "app", "ports": [{"name": "web", "containerPort": HTTP}]}
    named = {
        **pod,
        "metadata": {**pod["metadata"], "name": "by-name", "labels": {"app": "by-name"}},
        "spec": {**pod["spec"], "containers": [container]},
    }
    await mesh.put("by-name", service, named)
    assert (await mesh.get(web.http)).header("x-echo-version") == "plain"


async def test_a_regular_expression_at_the_limit_works_and_one_beyond_hurts_nobody(
    mesh: Mesh,
) -> None:
    """What Envoy would refuse never reaches it, and what it takes is not refused before."""
    web = mesh.offer("regex")
    letters = ", ".join(r"\pL" for _ in range(26))
    largest, too_large = f"/({letters}).*", f"/({letters}, {letters}).*"
    rules = [
        tagged("regex", "large", path(largest, "RegularExpression")),
        tagged("regex", "too large", path(too_large, "RegularExpression")),
        tagged("regex", "rest", path("/")),
    ]
    await mesh.put("regex", web.manifest, route("regex", "demo", "regex", *rules))
    assert await tag(mesh, web, "/x") == "rest"
    told = [
        one.message
        for one in mesh.plane.server._compiler.conditions()
        if (one.origin.name, one.type) == ("regex", "PartiallyInvalid")
    ]
    assert len(told) == 1
    assert "spec.rules[1].matches[0].path.value" in told[0]
    assert "spec.rules[0]" not in told[0]
