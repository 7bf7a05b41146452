"""The ExternalAuth filter of HTTPRoutes, named after its conformance tests."""

import asyncio
from typing import Any

import pytest

from tests.support.consent import DEAD_PORT, GRPC_PORT, HTTP_PORT, Providers
from tests.support.manifests import Manifest, backend, path, route, rule
from tests.support.mesh import Mesh, Offer
from tests.support.stream import StreamClosedError

pytestmark = pytest.mark.asyncio(loop_scope="session")


def asks(protocol: str, port: int, *, name: str = "consent", body: int | None = None, **how: Any):
    asked: dict[str, Any] = {
        "protocol": protocol,
        "backendRef": {"name": name, "port": port},
        protocol.lower(): how,
    }
    if body is not None:
        asked["forwardBody"] = {"maxSize": body}
    return {"type": "ExternalAuth", "externalAuth": asked}


async def offer(mesh: Mesh, name: str, *filters: Manifest, **more: Any) -> Offer:
    """A service whose paths below /asked need consent, and no others."""
    web = mesh.offer(name)
    rules = (
        rule(path("/asked"), to=[backend(name)], filters=list(filters), **more),
        rule(path("/free"), to=[backend(name)]),
    )
    await mesh.put(name, web.manifest, route(name, "demo", name, *rules))
    return web


def refusing(name: str) -> list[tuple[str, str]]:
    return [("x-refuse", name)]


async def test_http(mesh: Mesh, providers: Providers) -> None:
    shown = asks("HTTP", HTTP_PORT, path="/check", allowedHeaders=["x-refuse", "x-shown"])
    web = await offer(mesh, "auth-http", shown)
    answer = await mesh.get(web.http, "/asked/x?q=1", [("x-shown", "1"), ("x-hidden", "1")])
    assert answer.status == 200
    question = providers.http.questions[-1]
    assert (question.path, question.client) == ("/check/asked/x?q=1", mesh.friend.uri)
    assert ("x-shown" in question.headers, "x-hidden" in question.headers) == (True, False)
    assert (answer.received("x-user"), answer.received("x-other")) == (
        ["alice"],
        ["not for servers"],
    )
    # What the answer says of itself, and who calls, is none of its business to change.
    assert answer.received("content-length") in ([], ["0"])
    assert mesh.friend.uri in answer.received("x-forwarded-client-cert")[0]
    refused = await mesh.get(web.http, "/asked", refusing("http"))
    assert (refused.status, refused.header("location")) == (403, "https://login.example")


async def test_http_response_headers_to_upstream(mesh: Mesh, providers: Providers) -> None:
    web = await offer(mesh, "auth-some", asks("HTTP", HTTP_PORT, allowedResponseHeaders=["X-User"]))
    answer = await mesh.get(web.http, "/asked")
    assert (answer.received("x-user"), answer.received("x-other")) == (["alice"], [])


async def test_grpc(mesh: Mesh, providers: Providers) -> None:
    web = await offer(mesh, "auth-grpc", asks("GRPC", GRPC_PORT))
    answer = await mesh.get(web.http, "/asked", [("x-shown", "1")])
    assert (answer.status, answer.received("x-consent")) == (200, ["grpc"])
    question = providers.grpc.questions[-1]
    assert (question.headers["x-shown"], question.client) == ("1", mesh.friend.uri)
    refused = await mesh.get(web.http, "/asked", refusing("grpc"))
    assert (refused.status, refused.body) == (402, b"no consent")
    some = await offer(mesh, "auth-few", asks("GRPC", GRPC_PORT, allowedHeaders=["x-shown"]))
    assert (await mesh.get(some.http, "/asked", [("x-shown", "1"), ("x-no", "1")])).status == 200
    assert "x-no" not in providers.grpc.questions[-1].headers


async def test_per_route_scope(mesh: Mesh, providers: Providers) -> None:
    cors = {"type": "CORS", "cors": {"allowOrigins": ["https://shop.example"]}}
    web = await offer(mesh, "auth-scope", asks("GRPC", GRPC_PORT), cors)
    before = len(providers.grpc.questions)
    assert (await mesh.get(web.http, "/free", refusing("grpc"))).status == 200
    preflight = [
        ("origin", "https://shop.example"),
        ("access-control-request-method", "PUT"),
        *refusing("grpc"),
    ]
    assert (await mesh.get(web.http, "/asked", preflight, method="OPTIONS")).status == 200
    assert len(providers.grpc.questions) == before
    other = [("origin", "https://other.example"), *refusing("grpc")]
    assert (await mesh.get(web.http, "/asked", other)).status == 402


async def test_forward_body(mesh: Mesh, providers: Providers) -> None:
    web = await offer(mesh, "auth-body", asks("HTTP", HTTP_PORT, body=100))
    none = await offer(mesh, "auth-no-body", asks("HTTP", HTTP_PORT, body=0))
    small, large = b"0123456789", b"x" * 200
    answer = await mesh.get(web.http, "/asked", method="POST", body=small)
    assert (answer.status, answer.json()["body_bytes"]) == (200, 10)
    assert providers.http.questions[-1].body == "0123456789"
    assert (await mesh.get(web.http, "/asked", method="POST", body=large)).status == 413
    answer = await mesh.get(none.http, "/asked", method="POST", body=large)
    assert (answer.status, answer.json()["body_bytes"]) == (200, 200)
    assert providers.http.questions[-1].body == ""


async def test_redirects_need_consent_too(mesh: Mesh, providers: Providers) -> None:
    web = mesh.offer("auth-moved")
    moved = {"type": "RequestRedirect", "requestRedirect": {"hostname": "elsewhere.example"}}
    only = rule(path("/"), to=[], filters=[moved, asks("GRPC", GRPC_PORT)])
    await mesh.put("auth-moved", web.manifest, route("auth-moved", "demo", "auth-moved", only))
    assert (await mesh.get(web.http, "/")).status == 302
    assert (await mesh.get(web.http, "/", refusing("grpc"))).status == 402


@pytest.mark.parametrize(
    ("case", "filter_", "statuses"),
    [
        ("backend-unavailable", asks("GRPC", DEAD_PORT), {403, 503}),
        ("unknown-backendref", asks("HTTP", HTTP_PORT, name="nowhere"), {500}),
        ("unknown-port", asks("HTTP", 1), {500}),
        ("unknown-protocol", asks("SMTP", HTTP_PORT), {500}),
        ("bad-path", asks("HTTP", HTTP_PORT, path="check"), {500}),
    ],
)
async def test_who_can_not_be_asked_does_not_consent(
    mesh: Mesh, providers: Providers, case: str, filter_: Manifest, statuses: set[int]
) -> None:
    web = await offer(mesh, f"auth-{case}", filter_)
    assert (await mesh.get(web.http, "/asked")).status in statuses
    assert (await mesh.get(web.http, "/free")).status == 200


async def dribbled(mesh: Mesh, web: Offer, target: str) -> bytes:
    """The answer to a request that comes so slowly that nobody takes it for HTTP in time."""
    async with await mesh.tunnel(web.undeclared) as tunnel:
        try:
            await tunnel.write(f"GET {target[:3]}".encode())
            await asyncio.sleep(0.6)
            rest = f"{target[3:]} HTTP/1.1\r\nhost: x\r\n\r\n"
            await tunnel.write(rest.encode())
            return await tunnel.readuntil(b"\r\n")
        except (StreamClosedError, ConnectionError):
            return b""


async def test_nobody_gets_around_consent_by_being_slow(mesh: Mesh, providers: Providers) -> None:
    plain = mesh.offer("auth-none")
    await mesh.put("auth-none", plain.manifest)
    assert b"200" in await dribbled(mesh, plain, "/asked")
    web = await offer(mesh, "auth-slow", asks("GRPC", GRPC_PORT))
    asked = len(providers.grpc.questions)
    assert await dribbled(mesh, web, "/asked") == b""
    assert (await mesh.get(web.undeclared, "/asked", refusing("grpc"))).status == 402
    assert (await mesh.get(web.undeclared, "/asked")).status == 200
    assert len(providers.grpc.questions) == asked + 2
