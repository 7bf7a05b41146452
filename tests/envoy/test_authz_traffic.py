"""Policies hold whatever else a request is: routed, copied, redirected, upgraded, split, or odd."""

import asyncio
import contextlib
from collections.abc import Sequence

import pytest

from tests.support.http1 import http1_request, read_head
from tests.support.http2 import http2_request
from tests.support.manifests import Manifest, allows, backend, path, policy, route, rule
from tests.support.mesh import Mesh, Offer
from tests.support.stream import StreamClosedError

pytestmark = pytest.mark.asyncio(loop_scope="session")

FRIEND = {"principals": ["cluster.local/ns/demo/sa/friend"]}
_QUIET_S = 0.4


async def guarded(mesh: Mesh, name: str, *more: Manifest) -> Offer:
    """A service that friends may call, but not below /admin."""
    web = mesh.offer(name)
    friends = policy(f"{name}-friends", "demo", allows(FRIEND), service=name)
    admin = policy(
        f"{name}-admin", "demo", allows(None, {"paths": ["/admin*"]}), action="DENY", service=name
    )
    await mesh.put(name, web.manifest, friends, admin, *more)
    return web


async def requests_to(mesh: Mesh, name: str) -> int:
    """How many requests the waypoint has sent to a service."""
    stat = rf"^cluster\.inbound-vip_80_http_{name}_demo_svc_cluster_local\.upstream_rq_total$"
    return sum((await mesh.envoy.stats(stat)).values())


async def raw(mesh: Mesh, web: Offer, *parts: str) -> list[int]:
    """What bytes that no client library would send are answered, until nothing more comes."""
    found = []
    async with await mesh.tunnel(web.http) as tunnel:
        await tunnel.write("".join(parts).encode("latin-1"))
        try:
            while True:
                async with asyncio.timeout(_QUIET_S):
                    head = await read_head(tunnel)
                found.append(head.status)
                await tunnel.readexactly(int(head.get("content-length") or 0))
        except (StreamClosedError, ConnectionError, TimeoutError):
            return found


async def test_no_copy_of_a_denied_request_is_sent(mesh: Mesh) -> None:
    copies = mesh.offer("copied-to", {"pod": "v2"})
    mirror = {
        "type": "RequestMirror",
        "requestMirror": {"backendRef": {"name": "copied-to", "port": 80}},
    }
    rules = rule(path("/"), to=[backend("copied")], filters=[mirror])
    web = await guarded(mesh, "copied", copies.manifest, route("copied", "demo", "copied", rules))
    for target in ("/admin", "/admin/x", "//admin"):
        assert (await mesh.get(web.http, target)).status == 403
    assert (await mesh.get(web.http, caller=mesh.stranger)).status == 403
    assert await requests_to(mesh, "copied-to") == 0
    assert (await mesh.get(web.http, "/open")).status == 200
    assert await requests_to(mesh, "copied-to") == 1


async def test_strangers_learn_nothing_by_redirects_preflights_and_bad_rules(mesh: Mesh) -> None:
    moved = {"type": "RequestRedirect", "requestRedirect": {"hostname": "secret.example"}}
    cors = {"type": "CORS", "cors": {"allowOrigins": ["*"]}}
    rules = (
        rule(path("/moved"), filters=[moved]),
        rule(path("/cors"), to=[backend("told")], filters=[cors]),
        rule(path("/bad"), to=[backend("nowhere")]),
        rule(path("/admin/cors"), to=[backend("told")], filters=[cors]),
    )
    web = await guarded(mesh, "told", route("told", "demo", "told", *rules))
    preflight = [("origin", "https://a.example"), ("access-control-request-method", "GET")]
    for target in ("/moved", "/cors", "/bad", "/none"):
        answer = await mesh.get(web.http, target, caller=mesh.stranger)
        assert (answer.status, answer.header("location")) == (403, None)
        answer = await mesh.get(web.http, target, preflight, method="OPTIONS", caller=mesh.stranger)
        assert (answer.status, answer.header("access-control-allow-origin")) == (403, None)
    denied = await mesh.get(web.http, "/admin/cors", preflight, method="OPTIONS")
    assert denied.status == 403
    assert (await mesh.get(web.http, "/cors", preflight, method="OPTIONS")).status == 200
    assert (await mesh.get(web.http, "/moved")).status == 302


async def test_producers_rewrites_are_after_the_decision(mesh: Mesh) -> None:
    """A route of the service's own namespace may lead to what clients can't ask for themselves."""
    rewrite = {
        "type": "URLRewrite",
        "urlRewrite": {"path": {"type": "ReplaceFullPath", "replaceFullPath": "/admin"}},
    }
    rules = (
        rule(path("/alias"), to=[backend("aliased")], filters=[rewrite]),
        rule(path("/"), to=[backend("aliased")]),
    )
    web = await guarded(mesh, "aliased", route("aliased", "demo", "aliased", *rules))
    assert (await mesh.get(web.http, "/alias")).json()["path"] == "/admin"
    assert (await mesh.get(web.http, "/admin")).status == 403


@pytest.mark.parametrize("target", ["/admin", "/x/../admin"])
async def test_upgrades_and_expectations(mesh: Mesh, target: str) -> None:
    web = await guarded(mesh, "upgraded")
    before = await requests_to(mesh, "upgraded")
    upgrades: Sequence[tuple[str, str]] = (
        ("upgrade", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    )
    assert (await mesh.get(web.http, target, upgrades)).status == 403
    for upgrade in ("h2c", "CONNECT", "websocket, h2c", "other"):
        async with await mesh.tunnel(web.http) as tunnel:
            headers = [("upgrade", upgrade), ("connection", "upgrade, http2-settings")]
            try:
                answer = await http1_request(tunnel, "GET", target, headers)
            except StreamClosedError:
                continue
            assert answer.status in (400, 403)
    expecting = [("expect", "100-continue")]
    assert (await mesh.get(web.http, target, expecting, method="POST", body=b"x")).status == 403
    assert await requests_to(mesh, "upgraded") == before


async def test_one_request_hidden_in_another(mesh: Mesh) -> None:
    """What counts is where a request ends: of two opinions the proxy holds neither."""
    web = await guarded(mesh, "hidden")
    before = await requests_to(mesh, "hidden")
    inner = "GET /admin HTTP/1.1\r\nhost: x\r\n\r\n"
    both = f"content-length: {len(inner) + 5}\r\ntransfer-encoding: chunked\r\n"
    odd = (
        (f"{both}\r\n0\r\n\r\n", 400),
        ("transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n", 501),
        ("transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        ("content-length: 0\r\ncontent-length: 38\r\n\r\n", 400),
        ("content-length: +0\r\n\r\n", 400),
    )
    for rest, status in odd:
        assert await raw(mesh, web, f"POST / HTTP/1.1\r\nhost: x\r\n{rest}{inner}") == [status], (
            rest
        )
    assert await requests_to(mesh, "hidden") == before
    for end in ("\r\n", "\n"):
        pipelined = f"GET /open HTTP/1.1{end}host: x{end}{end}{inner}"
        assert await raw(mesh, web, pipelined) == [200, 403]
    assert await requests_to(mesh, "hidden") == before + 2
    chunked = "POST /open HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    trailers = "x-role: admin\r\n:path: /admin\r\nhost: y\r\ntransfer-encoding: chunked\r\n\r\n"
    assert await raw(mesh, web, chunked, trailers) == [400]
    assert await requests_to(mesh, "hidden") <= before + 3  # its head, before the trailers came


async def test_connect_inside_and_other_forms_of_a_target(mesh: Mesh) -> None:
    web = await guarded(mesh, "forms")
    for line in (
        "CONNECT forms.demo:80 HTTP/1.1",
        "CONNECT /admin HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET * HTTP/1.1",
        "GET http://forms.demo/admin HTTP/1.1",
        "GET http://forms.demo/x/../admin HTTP/1.0",
        "GET admin HTTP/1.1",
        "GET /admin HTTP/1.0",
        "GET /admin HTTP/0.9",
        "PRI * HTTP/2.0",
    ):
        assert not {200, 101} & set(await raw(mesh, web, f"{line}\r\nhost: forms.demo\r\n\r\n")), (
            line
        )
    for method, target in (("CONNECT", "/admin"), ("OPTIONS", "*"), ("GET", "admin")):
        async with mesh.http2(web.http) as connection:
            try:
                answer = await http2_request(connection, method, target)
            except (StreamClosedError, ConnectionError):
                continue
            assert answer.status in (400, 403, 404)


@pytest.mark.parametrize("host", ["a@other", "other:80@a", "a:b", "other.", "", "[::1", "a b"])
async def test_hosts_that_are_none(mesh: Mesh, host: str) -> None:
    web = mesh.offer("hosts")
    only = policy("hosts", "demo", allows(None, {"hosts": ["a"]}), service="hosts")
    await mesh.put("hosts", web.manifest, only)
    assert (await mesh.get(web.http, "/", [("host", "a")])).status == 200
    with contextlib.suppress(StreamClosedError):
        assert (await mesh.get(web.http, "/", [("host", host)])).status in (400, 403)
