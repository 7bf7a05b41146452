"""Filters of routes, named after the upstream conformance tests where there is one."""

import asyncio
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.support.fleet import EchoFleet
from tests.support.http1 import http1_request
from tests.support.loopback import LoopbackNet
from tests.support.manifests import HTTP, Manifest, backend, path, pod, route, rule
from tests.support.mesh import Mesh, Offer
from tests.support.response import Response
from tests.support.scripted import ScriptedPod

pytestmark = pytest.mark.asyncio(loop_scope="session")

SHOP = "https://shop.example"


@pytest.fixture(scope="module")
def mirrors(net: LoopbackNet, fleet: EchoFleet) -> Iterator[list[ScriptedPod]]:
    """Two pods outside the mesh that remember what they were asked."""
    made = [ScriptedPod(net.ip(host), HTTP) for host in (163, 164)]
    for each in made:
        fleet.host(each.ip, each)
    yield made
    for each in made:
        fleet.remove(each.ip)


async def mirrored(
    mesh: Mesh, name: str, mirrors: Sequence[ScriptedPod], shares: Sequence[Any], requests: int
) -> list[int]:
    """How many copies each mirror gets of so many requests, by the shares that are asked for."""
    web, services, pods, filters = mesh.offer(name), [], [], []
    for index, (each, share) in enumerate(zip(mirrors, shares, strict=True)):
        own = f"{name}-copy{index}"
        services.append(mesh.offer(own, {"app": own}).manifest)
        pods.append(pod(own, "demo", each.ip, {"app": own}, captured=False))
        mirror = {"backendRef": {"name": own, "port": 80}, **share}
        filters.append({"type": "RequestMirror", "requestMirror": mirror})
        each.script()
    one = rule(to=[backend(name)], filters=filters)
    await mesh.put(name, web.manifest, *services, *pods, route(name, "demo", name, one))
    async with await mesh.tunnel(web.http) as tunnel:
        for number in range(requests):
            answer = await http1_request(tunnel, "GET", f"/x?{number}", [("host", "shop.example")])
            assert answer.header("x-echo-version") == "v1"
    return await _settled(mirrors)


async def _settled(mirrors: Sequence[ScriptedPod]) -> list[int]:
    """The copies that arrived, once no more do: nobody waits for the answers to copies."""
    before, now = [-1], [len(each.asked) for each in mirrors]
    while now != before:
        await asyncio.sleep(0.1)
        before, now = now, [len(each.asked) for each in mirrors]
    return now


async def test_request_mirror(mesh: Mesh, mirrors: list[ScriptedPod]) -> None:
    assert await mirrored(mesh, "mirror", mirrors[:1], [{}], 5) == [5]
    first = mirrors[0].asked[0]
    assert (first.method, first.path, first.header("host")) == ("GET", "/x?0", "shop.example")


async def test_request_multiple_mirrors(mesh: Mesh, mirrors: list[ScriptedPod]) -> None:
    assert await mirrored(mesh, "mirrors", mirrors, [{}, {}], 5) == [5, 5]


async def test_request_percentage_mirror(mesh: Mesh, mirrors: list[ScriptedPod]) -> None:
    shares = [{"percent": 20}, {"fraction": {"numerator": 1, "denominator": 2}}]
    fifth, half = await mirrored(mesh, "mirror-share", mirrors, shares, 300)
    assert abs(fifth - 60) < 4 * math.sqrt(300 * 0.2 * 0.8)
    assert abs(half - 150) < 4 * math.sqrt(300 * 0.5 * 0.5)


async def test_a_mirror_of_nothing(mesh: Mesh, mirrors: list[ScriptedPod]) -> None:
    assert await mirrored(mesh, "mirror-none", mirrors[:1], [{"percent": 0}], 20) == [0]


async def test_a_mirror_that_is_not_there_hurts_nobody(mesh: Mesh) -> None:
    web = mesh.offer("mirror-gone")
    mirror = {"backendRef": {"name": "gone", "port": 80}}
    one = rule(
        to=[backend("mirror-gone")], filters=[{"type": "RequestMirror", "requestMirror": mirror}]
    )
    await mesh.put("mirror-gone", web.manifest, route("mirror-gone", "demo", "mirror-gone", one))
    assert (await mesh.get(web.http)).status == 200


def cors(name: str, where: str, **given: Any) -> Manifest:
    return rule(path(where), to=[backend(name)], filters=[{"type": "CORS", "cors": given}])


@pytest.fixture(scope="module")
def cors_rules() -> list[Manifest]:
    exact = {"allowOrigins": [SHOP], "allowMethods": ["GET", "PUT"], "maxAge": 60}
    return [
        cors(
            "cors",
            "/exact",
            **exact,
            allowHeaders=["x-one", "x-two"],
            exposeHeaders=["x-three", "x-four"],
            allowCredentials=True,
        ),
        cors("cors", "/plain", allowOrigins=[SHOP]),
        cors("cors", "/wild", allowOrigins=["https://*.example.com", "http://a.example:8080"]),
        cors("cors", "/any", allowOrigins=["*"], allowMethods=["*"], allowHeaders=["*"]),
        cors(
            "cors",
            "/all",
            allowOrigins=["*"],
            allowMethods=["*"],
            allowHeaders=["*"],
            exposeHeaders=["*"],
            allowCredentials=True,
        ),
    ]


@pytest.fixture
def ask(mesh: Mesh, cors_rules: list[Manifest]) -> "Ask":
    return Ask(mesh, cors_rules)


class Ask:
    """Requests as a browser sends them from a page of some origin."""

    def __init__(self, mesh: Mesh, rules: list[Manifest]) -> None:
        self._mesh = mesh
        self._rules = rules
        self._web: Offer | None = None

    async def plain(self, where: str, origin: str) -> Response:
        return await self._mesh.get(await self._offer(), where, [("origin", origin)])

    async def preflight(self, where: str, origin: str, method: str, headers: str = "") -> Response:
        asked = [("origin", origin), ("access-control-request-method", method)]
        if headers:
            asked.append(("access-control-request-headers", headers))
        return await self._mesh.get(await self._offer(), where, asked, method="OPTIONS")

    async def _offer(self) -> Any:
        if self._web is None:
            self._web = self._mesh.offer("cors")
            manifest = route("cors", "demo", "cors", *self._rules)
            await self._mesh.put("cors", self._web.manifest, manifest)
        return self._web.http


def allowed(answer: Response) -> dict[str, str]:
    """What the CORS headers of an answer say, without their common prefix."""
    prefix = "access-control-"
    return {
        name.removeprefix(prefix): value
        for name, value in answer.headers
        if name.startswith(prefix)
    }


async def test_cors_of_an_origin_that_is_allowed(ask: Ask) -> None:
    answer = await ask.plain("/exact", SHOP)
    assert answer.status == 200
    assert allowed(answer) == {
        "allow-origin": SHOP,
        "allow-credentials": "true",
        "expose-headers": "x-three,x-four",
    }


async def test_cors_preflight(ask: Ask) -> None:
    answer = await ask.preflight("/exact", SHOP, "PUT", "x-one")
    assert answer.status in (200, 204)
    assert answer.header("x-echo-version") is None  # the pod was not asked
    said = allowed(answer)
    assert said.pop("allow-methods").replace(" ", "").split(",") == ["GET", "PUT"]
    assert said.pop("allow-headers").replace(" ", "").split(",") == ["x-one", "x-two"]
    assert said.pop("max-age") == "60"
    assert said.pop("allow-origin") == SHOP
    assert said.pop("allow-credentials") == "true"


async def test_cors_of_an_origin_that_is_not_allowed(ask: Ask) -> None:
    for where in ("/exact", "/plain", "/wild"):
        assert "allow-origin" not in allowed(await ask.plain(where, "https://evil.example"))
        said = allowed(await ask.preflight(where, "https://evil.example", "GET"))
        assert "allow-origin" not in said


async def test_cors_without_credentials(ask: Ask) -> None:
    assert allowed(await ask.plain("/plain", SHOP)) == {"allow-origin": SHOP}
    assert allowed(await ask.preflight("/plain", SHOP, "GET"))["max-age"] == "5"  # the default


@pytest.mark.parametrize(
    ("origin", "fine"),
    [
        ("https://a.example.com", True),
        ("https://a.b.example.com", True),
        ("https://example.com", False),
        ("http://a.example.com", False),
        ("https://a.example.com.evil.org", False),
        ("https://evil.org/.example.com", False),
        ("https://aexample.com", False),
        ("http://a.example:8080", True),
        ("http://a.example", False),
        ("null", False),
    ],
)
async def test_cors_wildcard_origins(ask: Ask, origin: str, fine: bool) -> None:
    said = allowed(await ask.plain("/wild", origin))
    assert said == ({"allow-origin": origin} if fine else {})


async def test_cors_wildcards_without_credentials(ask: Ask) -> None:
    answer = await ask.preflight("/any", SHOP, "PATCH", "x-some")
    said = allowed(answer)
    assert said["allow-origin"] in ("*", SHOP)
    assert said["allow-methods"] in ("*", "PATCH")
    assert said["allow-headers"] in ("*", "x-some")
    assert "allow-credentials" not in said


async def test_cors_wildcards_with_credentials_name_what_was_asked(ask: Ask) -> None:
    """With credentials a ``*`` means nothing to a browser (Fetch standard)."""
    said = allowed(await ask.preflight("/all", SHOP, "PATCH", "x-some, x-more"))
    assert said["allow-origin"] == SHOP
    assert said["allow-credentials"] == "true"
    assert said["allow-methods"] == "PATCH"
    assert said["allow-headers"].replace(" ", "") == "x-some,x-more"


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_redirect_status_codes(mesh: Mesh, code: int) -> None:
    name = f"redirect-{code}"
    web = mesh.offer(name)
    redirect = {"hostname": "example.org", "statusCode": code}
    one = {"filters": [{"type": "RequestRedirect", "requestRedirect": redirect}]}
    await mesh.put(name, web.manifest, route(name, "demo", name, one))
    answer = await mesh.get(web.http, "/x")
    assert (answer.status, answer.header("location")) == (code, "http://example.org/x")


async def test_redirect_port(mesh: Mesh) -> None:
    """HTTPRouteRedirectPortAndScheme: a scheme's own port goes without saying."""
    web = mesh.offer("redirect-port")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"port": 8083}, "http://example.org:8083/"),
        ({"port": 80}, "http://example.org/"),
        ({"scheme": "https"}, "https://example.org/"),
        ({"scheme": "https", "port": 443}, "https://example.org/"),
        ({"scheme": "https", "port": 8443}, "https://example.org:8443/"),
        ({"scheme": "http", "port": 443}, "http://example.org:443/"),
        ({}, "http://example.org/"),
    ]
    rules = [
        {
            "matches": [path(f"/{index}", "Exact")],
            "filters": [
                {
                    "type": "RequestRedirect",
                    "requestRedirect": {
                        "hostname": "example.org",
                        "path": {"type": "ReplaceFullPath", "replaceFullPath": "/"},
                        **given,
                    },
                }
            ],
        }
        for index, (given, _) in enumerate(cases)
    ]
    await mesh.put("redirect-port", web.manifest, route("rp", "demo", "redirect-port", *rules))
    for index, (_, location) in enumerate(cases):
        assert (await mesh.get(web.http, f"/{index}")).header("location") == location


@pytest.mark.parametrize("old", ["/", "/old", "/old/"])
@pytest.mark.parametrize("new", ["/", "/new", "/new/"])
async def test_rewritten_and_redirected_prefixes_have_one_slash(
    mesh: Mesh, old: str, new: str
) -> None:
    """Whole segments are replaced; slashes are neither doubled nor lost."""
    name = f"slash-{len(old)}-{len(new)}"
    web = mesh.offer(name)
    edit = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": new}}
    moved = {"matches": [{**path(old), "headers": [{"name": "x-go", "value": "away"}]}]}
    rules = [
        rule(path(old), to=[backend(name)], filters=[{"type": "URLRewrite", "urlRewrite": edit}]),
        {**moved, "filters": [{"type": "RequestRedirect", "requestRedirect": edit}]},
    ]
    await mesh.put(name, web.manifest, route(name, "demo", name, *rules))
    base, target = old.rstrip("/"), new.rstrip("/")
    for rest in ("/a", "/a/b", "/a?x=//y"):
        seen = (await mesh.get(web.http, f"{base}{rest}")).json()["path"]
        assert seen == f"{target}{rest}"
        answer = await mesh.get(web.http, f"{base}{rest}", [("x-go", "away")])
        assert answer.header("location") == f"http://test{target}{rest}"
    for bare in {base or "/", f"{base}/"}:
        seen = (await mesh.get(web.http, bare)).json()["path"]
        assert seen in (target or "/", f"{target}/")
        assert "//" not in seen


async def test_a_session_stays_with_its_pod_by_cookie(mesh: Mesh) -> None:
    web = mesh.offer("session", {"all": "yes"}, ports=(("http", 80, HTTP),))
    wanted = {
        "sessionName": "shop-session",
        "type": "Cookie",
        "absoluteTimeout": "1h",
        "cookieConfig": {"lifetimeType": "Permanent"},
    }
    await _session(mesh, web, "session", wanted)
    first = await _answered(mesh, web, [])
    cookie = first.header("set-cookie") or ""
    assert cookie.startswith("shop-session=")
    assert "Max-Age=3600" in cookie
    assert "HttpOnly" in cookie
    pair = cookie.partition(";")[0]
    again = [await _answered(mesh, web, [("cookie", pair)]) for _ in range(20)]
    assert {one.header("x-echo-pod") for one in again} == {first.header("x-echo-pod")}
    others = Counter([(await _answered(mesh, web, [])).header("x-echo-pod") for _ in range(40)])
    assert len(others) > 1


async def test_a_session_stays_with_its_pod_by_header(mesh: Mesh) -> None:
    web = mesh.offer("session-header", {"all": "yes"}, ports=(("http", 80, HTTP),))
    await _session(mesh, web, "session-header", {"sessionName": "x-session", "type": "Header"})
    first = await _answered(mesh, web, [])
    session = first.header("x-session") or ""
    assert session
    again = [await _answered(mesh, web, [("x-session", session)]) for _ in range(20)]
    assert {one.header("x-echo-pod") for one in again} == {first.header("x-echo-pod")}


async def _session(mesh: Mesh, web: Offer, name: str, wanted: Any) -> None:
    one = rule(to=[backend(name)], sessionPersistence=wanted)
    await mesh.put(name, web.manifest, route(name, "demo", name, one))


async def _answered(mesh: Mesh, web: Offer, headers: list[tuple[str, str]]) -> Response:
    """An answer of a pod that can be reached: one of the four shows a wrong identity."""
    while True:
        answer = await mesh.get(web.http, "/", headers)
        if answer.status == 200:
            return answer
