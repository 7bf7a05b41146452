"""HTTPRoutes, from the manifest to what a client sees."""

import asyncio
import math
import time
from collections import Counter
from typing import Any

import pytest

from tests.support.http1 import http1_request
from tests.support.http2 import http2_request
from tests.support.manifests import H2C, backend, path, route, rule
from tests.support.mesh import Mesh

pytestmark = pytest.mark.asyncio(loop_scope="session")


def header_edit(kind: str, **edits: Any) -> Any:
    """A filter that changes headers of requests or responses."""
    field = f"{kind[0].lower()}{kind[1:]}HeaderModifier"
    return {"type": f"{kind}HeaderModifier", field: edits}


async def test_weights_split_within_three_sigma(mesh: Mesh) -> None:
    split = mesh.offer("split")
    old, new = mesh.offer("split-v1"), mesh.offer("split-v2", {"pod": "v2"})
    weighted = rule(to=[backend("split-v1", 90), backend("split-v2", 10)])
    services = (split.manifest, old.manifest, new.manifest)
    await mesh.put("split", *services, route("split", "demo", "split", weighted))
    requests, share = 1000, 0.1
    async with await mesh.tunnel(split.http) as tunnel:
        answers = [await http1_request(tunnel, "GET", "/") for _ in range(requests)]
    counts = Counter(answer.header("x-echo-version") for answer in answers)
    assert {answer.status for answer in answers} == {200}
    assert set(counts) == {"v1", "v2"}
    sigma = math.sqrt(requests * share * (1 - share))
    assert abs(counts["v2"] - requests * share) < 3.5 * sigma


async def test_matches_by_path_header_query_and_method(mesh: Mesh) -> None:
    offers = [mesh.offer("match"), mesh.offer("match-v2", {"pod": "v2"})]
    v2 = [backend("match-v2")]
    v1 = [backend("match")]
    rules = [
        rule(path("/exact", "Exact"), to=v2),
        rule(path("/prefix"), to=v2),
        rule(path("/re[0-9]+/x", "RegularExpression"), to=v2),
        rule({**path("/h"), "headers": [{"name": "X-User", "value": "jason"}]}, to=v2),
        rule(
            {
                **path("/hre"),
                "headers": [{"name": "x-user", "type": "RegularExpression", "value": "j.*n"}],
            },
            to=v2,
        ),
        rule({**path("/q"), "queryParams": [{"name": "v", "value": "2"}]}, to=v2),
        rule({**path("/m"), "method": "POST"}, to=v2),
        rule(*(path(f"/{name}") for name in ("h", "hre", "q", "m", "exact", "re")), to=v1),
    ]
    await mesh.put("match", *(o.manifest for o in offers), route("match", "demo", "match", *rules))
    to = offers[0].http
    cases: list[tuple[str, str, list[tuple[str, str]], str | None]] = [
        ("GET", "/exact", [], "v2"),
        ("GET", "/exact/", [], "v1"),
        ("GET", "/exact?x=1", [], "v2"),
        ("GET", "/prefix", [], "v2"),
        ("GET", "/prefix/deep/er", [], "v2"),
        ("GET", "/prefixed", [], None),
        ("GET", "/re12/x", [], "v2"),
        ("GET", "/re12/xy", [], None),
        ("GET", "/re/x", [], "v1"),
        ("GET", "/h", [], "v1"),
        ("GET", "/h", [("x-user", "jason")], "v2"),
        ("GET", "/h", [("x-user", "Jason")], "v1"),
        ("GET", "/hre", [("x-user", "john")], "v2"),
        ("GET", "/hre", [("x-user", "xjohn")], "v1"),
        ("GET", "/q?v=2", [], "v2"),
        ("GET", "/q?v=22", [], "v1"),
        ("GET", "/q?w=2", [], "v1"),
        ("POST", "/m", [], "v2"),
        ("GET", "/m", [], "v1"),
        ("GET", "/nothing", [], None),
    ]
    seen = []
    async with await mesh.tunnel(to) as tunnel:
        for method, target, headers, _ in cases:
            answer = await http1_request(tunnel, method, target, headers)
            seen.append((method, target, headers, answer.header("x-echo-version")))
            assert answer.status == (200 if answer.header("x-echo-version") else 404)
    assert seen == cases


async def test_an_invalid_backend_answers_500_for_its_share(mesh: Mesh) -> None:
    web = mesh.offer("invalid")
    half = [backend("invalid"), backend("missing")]
    rules = [
        rule(path("/service"), to=[backend("missing")]),
        rule(path("/port"), to=[backend("invalid", port=81_00)]),
        rule(path("/kind"), to=[{"group": "example.com", "kind": "Bucket", "name": "x"}]),
        rule(path("/none")),
        rule(path("/half"), to=half),
        rule(path("/filter"), to=[backend("invalid")], filters=[{"type": "ExtensionRef"}]),
    ]
    await mesh.put("invalid", web.manifest, route("invalid", "demo", "invalid", *rules))
    for where in ("/service", "/port", "/kind", "/none", "/filter"):
        assert (await mesh.get(web.http, where)).status == 500, where
    async with await mesh.tunnel(web.http) as tunnel:
        answers = [await http1_request(tunnel, "GET", "/half") for _ in range(200)]
    counts = Counter(answer.status for answer in answers)
    assert set(counts) == {200, 500}
    assert abs(counts[500] - 100) < 4 * math.sqrt(50)


async def test_redirects(mesh: Mesh) -> None:
    web = mesh.offer("redirect")

    def to(match: str, **redirect: Any) -> Any:
        filters = [{"type": "RequestRedirect", "requestRedirect": redirect}]
        return {"matches": [path(match)], "filters": filters}

    rules = [
        to("/host", hostname="other.example", statusCode=301),
        to("/tls", scheme="https", port=8443, statusCode=302),
        to("/full", path={"type": "ReplaceFullPath", "replaceFullPath": "/new"}),
        to("/prefix", path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/p"}),
    ]
    await mesh.put("redirect", web.manifest, route("redirect", "demo", "redirect", *rules))
    expected = {
        "/host/x?q=1": (301, "http://other.example/host/x?q=1"),
        "/tls": (302, "https://shop.example:8443/tls"),
        "/full/x": (302, "http://shop.example/new"),
        "/prefix/x": (302, "http://shop.example/p/x"),
        "/prefix": (302, "http://shop.example/p"),
    }
    for where, outcome in expected.items():
        answer = await mesh.get(web.http, where, [("host", "shop.example")])
        assert (answer.status, answer.header("location")) == outcome


async def test_rewrites(mesh: Mesh) -> None:
    web = mesh.offer("rewrite")

    def to(match: str, **rewrite: Any) -> Any:
        filters = [{"type": "URLRewrite", "urlRewrite": rewrite}]
        return rule(path(match), to=[backend("rewrite")], filters=filters)

    rules = [
        to("/prefix", path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}),
        to("/deep", path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/a/b"}),
        to("/full", path={"type": "ReplaceFullPath", "replaceFullPath": "/new"}),
        to("/host", hostname="other.example"),
    ]
    await mesh.put("rewrite", web.manifest, route("rewrite", "demo", "rewrite", *rules))
    expected = {
        "/prefix/x?q=1": ("/x?q=1", "shop.example"),
        "/prefix": ("/", "shop.example"),
        "/prefix/": ("/", "shop.example"),
        "/deep/x": ("/a/b/x", "shop.example"),
        "/deep": ("/a/b", "shop.example"),
        "/full/x?q=1": ("/new?q=1", "shop.example"),
        "/host/x": ("/host/x", "other.example"),
    }
    for where, outcome in expected.items():
        seen = (await mesh.get(web.http, where, [("host", "shop.example")])).json()
        assert (seen["path"], seen["host"]) == outcome


async def test_header_modifiers_of_rules_and_backends(mesh: Mesh) -> None:
    web = mesh.offer("headers")
    edits = {
        "set": [{"name": "x-set", "value": "new"}],
        "add": [{"name": "x-add", "value": "more"}],
        "remove": ["x-remove"],
    }
    of_backend = header_edit("Request", add=[{"name": "x-backend", "value": "chosen"}])
    both = [header_edit("Request", **edits), header_edit("Response", **edits)]
    one = rule(to=[backend("headers", filters=[of_backend])], filters=both)
    await mesh.put("headers", web.manifest, route("headers", "demo", "headers", one))
    sent = [("x-set", "old"), ("x-add", "first"), ("x-remove", "gone")]
    answer = await mesh.get(web.http, "/", sent)
    assert answer.received("x-set") == ["new"]
    assert sorted(answer.received("x-add")) == ["first", "more"]
    assert answer.received("x-remove") == []
    assert answer.received("x-backend") == ["chosen"]
    assert (answer.header("x-set"), answer.header("x-add")) == ("new", "more")


async def test_a_request_timeout_is_a_504(mesh: Mesh) -> None:
    web = mesh.offer("timeout")
    slow = rule(path("/"), to=[backend("timeout")], timeouts={"request": "200ms"})
    patient = rule(path("/patient"), to=[backend("timeout")], timeouts={"request": "0s"})
    await mesh.put("timeout", web.manifest, route("timeout", "demo", "timeout", slow, patient))
    began = time.monotonic()
    assert (await mesh.get(web.http, "/?delay=5")).status == 504
    assert 0.15 < time.monotonic() - began < 2
    assert (await mesh.get(web.http, "/patient?delay=0.4")).status == 200


async def test_a_route_of_one_port_leaves_the_others_alone(mesh: Mesh) -> None:
    web = mesh.offer("ports")
    only = rule(path("/only"), to=[backend("ports")])
    await mesh.put("ports", web.manifest, route("ports", "demo", "ports", only, port=80))
    assert (await mesh.get(web.http, "/other")).status == 404
    assert (await mesh.get(web.undeclared, "/other")).status == 200


async def test_any_host_is_served(mesh: Mesh) -> None:
    web = mesh.offer("hosts")
    await mesh.put("hosts", web.manifest)
    names = [
        *("hosts", "hosts.demo", "hosts.demo.svc", "hosts.demo.svc.cluster.local"),
        *("hosts:80", web.ip, f"{web.ip}:80", "anything.example", "HOSTS.Demo", "hosts.demo."),
    ]
    for name in names:
        answer = await mesh.get(web.http, "/", [("host", name)])
        assert (answer.status, answer.json()["host"]) == (200, name)


async def test_http2_in_the_clear_and_trailers(mesh: Mesh) -> None:
    web = mesh.offer("grpc")
    await mesh.put("grpc", web.manifest)
    message = b"\0\0\0\0\2ab"
    headers = [("content-type", "application/grpc"), ("te", "trailers"), ("x-grpc-status", "5")]
    async with mesh.http2(web.grpc) as connection:
        answers = await asyncio.gather(
            *(http2_request(connection, "POST", "/pkg.Echo/Say", headers, message) for _ in "12345")
        )
    for answer in answers:
        assert (answer.status, answer.body) == (200, message)
        assert dict(answer.trailers) == {"grpc-status": "5"}


async def test_http2_to_a_port_that_speaks_http1(mesh: Mesh) -> None:
    web = mesh.offer("h2-to-h1")
    await mesh.put("h2-to-h1", web.manifest)
    async with mesh.http2(web.http) as connection:
        answer = await http2_request(connection, "GET", "/x", authority="shop.example")
    assert answer.status == 200
    seen = answer.json()
    assert (seen["protocol"], seen["host"]) == ("HTTP/1.1", "shop.example")


async def test_an_undeclared_port_keeps_the_clients_http_version(mesh: Mesh) -> None:
    web = mesh.offer("h2-auto", ports=(("auto", 8081, H2C),))
    await mesh.put("h2-auto", web.manifest)
    async with mesh.http2(web.at(8081)) as connection:
        answer = await http2_request(connection, "GET", "/x")
    assert (answer.status, answer.json()["protocol"]) == (200, "HTTP/2")
