"""GRPCRoutes, from the manifest to the status that a gRPC client sees."""

from collections import Counter
from typing import Any

import pytest

from tests.support.http1 import http1_request
from tests.support.http2 import Http2Connection, http2_request
from tests.support.manifests import (
    H2C,
    Manifest,
    allows,
    backend,
    grant,
    namespace,
    path,
    policy,
    route,
    route_of,
    rule,
)
from tests.support.mesh import Mesh, Offer
from tests.support.response import Response

pytestmark = pytest.mark.asyncio(loop_scope="session")

GRPC = 81
OK, UNIMPLEMENTED, UNAVAILABLE = "0", "12", "14"
MESSAGE = b"\0\0\0\0\3abc"


async def call(
    connection: Http2Connection, method: str, *headers: tuple[str, str]
) -> tuple[str | None, str | None, Response]:
    """One unary call: its gRPC status, and the version of the pod that answered."""
    given = [("content-type", "application/grpc"), ("te", "trailers"), *headers]
    answer = await http2_request(connection, "POST", method, given, MESSAGE)
    assert answer.status == 200, "to gRPC every answer is a 200"
    status = dict(answer.trailers).get("grpc-status") or answer.header("grpc-status")
    return status, answer.header("x-echo-version"), answer


def calls(name: str, *rules: Manifest, **more: Any) -> Manifest:
    return route_of("GRPCRoute", name, "demo", name, *rules, **more)


def method(service: str = "", name: str = "", kind: str = "Exact") -> Manifest:
    fields = {"service": service, "method": name}
    return {"method": {"type": kind, **{key: text for key, text in fields.items() if text}}}


def to(*names: str, **more: Any) -> list[Manifest]:
    return [backend(name, port=GRPC, **more) for name in names]


def two(mesh: Mesh, name: str) -> tuple[Offer, Offer]:
    """A service of pod v1, and another of pod v2."""
    return mesh.offer(name), mesh.offer(f"{name}-v2", {"pod": "v2"})


async def test_methods_and_headers(mesh: Mesh) -> None:
    one, other = two(mesh, "calls")
    v1, v2 = to("calls"), to("calls-v2")
    rules = [
        rule(method("shop.Cart", "Get"), to=v2),
        rule(method("shop.Cart"), to=v1),
        rule(method(name="Ping"), to=v2),
        rule(method("re\\.[A-Z][a-z]+", "Get|List", "RegularExpression"), to=v2),
        rule(
            {**method("shop.User"), "headers": [{"name": "X-User", "value": "jason"}]},
            {
                **method("shop.User"),
                "headers": [{"name": "x-team", "type": "RegularExpression", "value": "red|blue"}],
            },
            to=v2,
        ),
        rule(method("shop.User"), to=v1),
    ]
    await mesh.put("calls", one.manifest, other.manifest, calls("calls", *rules))
    cases: list[tuple[str, list[tuple[str, str]], str, str | None]] = [
        ("/shop.Cart/Get", [], OK, "v2"),
        ("/shop.Cart/Put", [], OK, "v1"),
        ("/shop.Cart/Getter", [], OK, "v1"),
        ("/shop.Carts/Get", [], UNIMPLEMENTED, None),
        ("/any.Other/Ping", [], OK, "v2"),
        ("/shop.Cart/Ping", [], OK, "v1"),
        ("/re.Red/List", [], OK, "v2"),
        ("/re.Red/Lists", [], UNIMPLEMENTED, None),
        ("/shop.User/Get", [], OK, "v1"),
        ("/shop.User/Get", [("x-user", "jason")], OK, "v2"),
        ("/shop.User/Get", [("x-team", "blue")], OK, "v2"),
        ("/shop.User/Get", [("x-team", "blues")], OK, "v1"),
        ("/no.Route/Get", [], UNIMPLEMENTED, None),
    ]
    seen = []
    async with mesh.http2(one.grpc) as connection:
        for target, headers, _, _ in cases:
            status, version, _ = await call(connection, target, *headers)
            seen.append((target, headers, status, version))
    assert seen == cases


async def test_failures_are_statuses_of_grpc(mesh: Mesh) -> None:
    one, _ = two(mesh, "failing")
    rules = [
        rule(method("all.Missing"), to=to("nowhere")),
        rule(method("no.Backends")),
        rule(method("bad.Filter"), to=to("failing"), filters=[{"type": "ExtensionRef"}]),
        rule(method("half.Missing"), to=[*to("failing"), *to("nowhere")]),
    ]
    await mesh.put("failing", one.manifest, calls("failing", *rules))
    async with mesh.http2(one.grpc) as connection:
        for service in ("all.Missing", "no.Backends", "bad.Filter"):
            assert (await call(connection, f"/{service}/Get"))[0] == UNAVAILABLE, service
        half = Counter([(await call(connection, "/half.Missing/Get"))[0] for _ in range(100)])
        assert set(half) == {OK, UNAVAILABLE}
        assert 25 < half[UNAVAILABLE] < 75
        page = await http2_request(connection, "GET", "/all.Missing/Get")
    assert page.status == 404, "only gRPC calls are met by a GRPCRoute"


async def test_headers_weights_and_mirrors(mesh: Mesh) -> None:
    one, other = two(mesh, "changed")
    copies = mesh.offer("changed-copies", {"pod": "v2"})
    edit = {
        "type": "ResponseHeaderModifier",
        "responseHeaderModifier": {"set": [{"name": "x-said", "value": "so"}]},
    }
    mirror = {
        "type": "RequestMirror",
        "requestMirror": {"backendRef": {"name": "changed-copies", "port": GRPC}},
    }
    split = [backend("changed", 90, GRPC), backend("changed-v2", 10, GRPC)]
    manifests = (one.manifest, other.manifest, copies.manifest)
    named = rule(name="split", to=split, filters=[edit, mirror])
    await mesh.put("changed", *manifests, calls("changed", named))
    async with mesh.http2(one.grpc) as connection:
        answers = [await call(connection, "/any.Service/Get") for _ in range(300)]
    versions = Counter(version for _, version, _ in answers)
    assert {status for status, _, _ in answers} == {OK}
    assert 8 < versions["v2"] < 60
    assert all(answer.header("x-said") == "so" for _, _, answer in answers)
    copied = "cluster.inbound-vip_81_http_changed-copies_demo_svc_cluster_local.upstream_rq_total"
    await mesh.envoy.wait_stat(copied, 300)


async def test_an_httproute_of_the_same_port_gets_what_is_no_call(mesh: Mesh) -> None:
    one, other = two(mesh, "both")
    pages = route("both", "demo", "both", rule(path("/"), to=to("both")), port=GRPC)
    grpc = calls("both", rule(method("shop.Cart"), to=to("both-v2")), rule(to=to("both-v2")))
    await mesh.put("both", one.manifest, other.manifest, pages, grpc)
    async with mesh.http2(one.grpc) as connection:
        assert (await call(connection, "/shop.Cart/Get"))[:2] == (OK, "v2")
        assert (await call(connection, "/any.Other/Get"))[:2] == (OK, "v2")
        page = await http2_request(connection, "GET", "/shop.Cart/Get")
    assert page.header("x-echo-version") == "v1"


async def test_a_route_of_another_namespace_is_for_its_clients_only(mesh: Mesh) -> None:
    one, other = two(mesh, "consumed")
    theirs = route_of(
        "GRPCRoute",
        "consumed",
        "visitors",
        "consumed",
        rule(method("shop.Cart"), to=to("consumed-v2", namespace="demo")),
        parent={"namespace": "demo"},
    )
    permitted = grant("demo", "GRPCRoute", "visitors")
    manifests = (one.manifest, other.manifest, namespace("visitors"), theirs, permitted)
    await mesh.put("consumed", *manifests)
    visitor = mesh.certs.svid("visitors", "any")
    async with mesh.http2(one.grpc) as connection:
        assert (await call(connection, "/shop.Cart/Get"))[:2] == (OK, "v1")
        assert (await call(connection, "/shop.Other/Get"))[:2] == (OK, "v1")
    async with mesh.http2(one.grpc, visitor) as connection:
        assert (await call(connection, "/shop.Cart/Get"))[:2] == (OK, "v2")
        assert (await call(connection, "/shop.Other/Get"))[0] == UNIMPLEMENTED


async def test_without_a_usable_route(mesh: Mesh) -> None:
    """Without routes, or with one of a port that isn't there: to the service. If none of its
    matches can be expressed: nowhere.
    """
    one, _ = two(mesh, "odd")
    await mesh.put("odd", one.manifest)
    async with mesh.http2(one.grpc) as connection:
        assert (await call(connection, "/any.Service/Get"))[:2] == (OK, "v1")
        absent = calls("odd", rule(to=to("nowhere")), parent={"port": 4711})
        await mesh.put("odd-route", absent)
        assert (await call(connection, "/any.Service/Get"))[:2] == (OK, "v1")
        bad = calls("odd", rule(method("(", "Get", "RegularExpression"), to=to("odd")))
        await mesh.put("odd-route", bad)
        assert (await call(connection, "/any.Service/Get"))[0] == UNIMPLEMENTED


async def test_edits_change_routes_and_nothing_else(mesh: Mesh) -> None:
    one, other = two(mesh, "edited")
    await mesh.put("edited", one.manifest, other.manifest)
    before = await mesh.listener_changes()
    async with mesh.http2(one.grpc) as connection:
        for name, version in (("edited", "v1"), ("edited-v2", "v2"), ("edited", "v1")):
            await mesh.put("edited-route", calls("edited", rule(to=to(name))))
            assert (await call(connection, "/any.Service/Get"))[:2] == (OK, version)
        assert not connection.goaway
    assert await mesh.listener_changes() == before


async def test_a_backend_outside_adds_a_cluster_and_changes_none(mesh: Mesh) -> None:
    one, outside = two(mesh, "outward")
    outside.manifest["metadata"]["labels"] = {"istio.io/use-waypoint": "none"}
    await mesh.put("outward", one.manifest, outside.manifest)
    listeners, clusters = await mesh.listener_changes(), await cluster_changes(mesh)
    async with mesh.http2(one.grpc) as connection:
        await mesh.put("outward-route", calls("outward", rule(to=to("outward-v2"))))
        assert (await call(connection, "/any.Service/Get"))[:2] == (OK, "v2")
        assert not connection.goaway
    added = {
        **clusters,
        "cluster_manager.cluster_added": clusters["cluster_manager.cluster_added"] + 1,
    }
    assert await cluster_changes(mesh) == added
    after = await mesh.listener_changes()
    updates = "cluster_manager.cds.update_success"
    assert {**after, updates: 0} == {**listeners, updates: 0}


async def cluster_changes(mesh: Mesh) -> dict[str, int]:
    """How often clusters came, changed and went."""
    return await mesh.envoy.stats(r"^cluster_manager\.cluster_(added|modified|removed)$")


async def web_call(mesh: Mesh, one: Offer, target: str) -> Response:
    """A call as a browser makes it, in HTTP/1.1."""
    headers = [("content-type", "application/grpc-web+proto"), ("x-grpc-web", "1")]
    async with await mesh.tunnel(one.at(GRPC)) as tunnel:
        return await http1_request(tunnel, "POST", target, headers, MESSAGE)


async def test_browsers_call_a_port_that_declares_grpc_web(mesh: Mesh) -> None:
    ports = (("grpc-web", GRPC, H2C),)
    one, other = mesh.offer("web", ports=ports), mesh.offer("web-v2", {"pod": "v2"}, ports)
    await mesh.put("web", one.manifest, other.manifest)
    answer = await web_call(mesh, one, "/shop.Cart/Get")
    assert (answer.status, answer.header("x-echo-version")) == (200, "v1")
    assert (answer.header("content-type") or "").startswith("application/grpc-web")
    assert b"grpc-status:0" in answer.body, "trailers come as the end of the body"
    routed = calls("web", rule(method("shop.Cart"), to=to("web-v2")))
    deny = policy(
        "web", "demo", allows(None, {"paths": ["/shop.Cart/Drop"]}), action="DENY", service="web"
    )
    await mesh.put("web-route", routed, deny)
    answer = await web_call(mesh, one, "/shop.Cart/Get")
    assert answer.header("x-echo-version") == "v2"
    # Clients of gRPC-Web take these for UNIMPLEMENTED and PERMISSION_DENIED.
    for target, status in (("/shop.Other/Get", 404), ("/shop.Cart/Drop", 403)):
        answer = await web_call(mesh, one, target)
        assert (answer.status, answer.header("x-echo-version")) == (status, None)
    async with mesh.http2(one.grpc) as connection:
        assert (await call(connection, "/shop.Cart/Get"))[:2] == (OK, "v2")
