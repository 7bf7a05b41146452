"""RequestAuthentications, from the manifest to which tokens a waypoint believes."""

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from envoy_data_plane.envoy.config.listener.v3 import FilterChain, Listener

from tests.support.envoyproc import EnvoyProcess
from tests.support.http1 import http1_request
from tests.support.issuer import ROOTS, Issuer, KeyServer, write_server_certificate
from tests.support.loopback import LoopbackNet
from tests.support.manifests import HTTP, Manifest, allows, policy
from tests.support.mesh import Mesh, Offer
from tests.support.static import bootstrap_of
from tests.support.stream import TcpStream
from translators.ir.authentication import Authentication, JwtProvider, NoKeys
from translators.ir.listener import HttpChain
from translators.ir.route import RouteTable
from translators.wire import TypeUrl
from translators.xds import render
from translators.xds.address import socket_address
from translators.xds.http import requests

pytestmark = pytest.mark.asyncio(loop_scope="session")

HTTP_ONLY = (("http", 80, HTTP),)


@dataclass(frozen=True, slots=True)
class Issuers:
    """``served`` has its keys fetched, ``inline`` has them in the manifest."""

    served: Issuer
    keys: KeyServer
    inline: Issuer


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def issuers(
    net: LoopbackNet, mesh_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Issuers]:
    ip, chain = net.ip(131), tmp_path_factory.mktemp("keys") / "chain.pem"
    write_server_certificate(ip, chain, mesh_folder / ROOTS)
    served = Issuer("https://served.example")
    keys = KeyServer(served, ip, chain)
    await keys.start()
    yield Issuers(served, keys, Issuer("inline.example"))
    await keys.stop()


def tokens(service: str, *rules: Manifest, name: str = "") -> Manifest:
    """A RequestAuthentication of a service."""
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "RequestAuthentication",
        "metadata": {"name": name or service, "namespace": "demo"},
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": service}],
            "jwtRules": list(rules),
        },
    }


def inline(issuer: Issuer, **more: Any) -> Manifest:
    """A rule with the keys in it."""
    return {"issuer": issuer.name, "jwks": issuer.jwks, **more}


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


async def statuses(mesh: Mesh, web: Offer, cases: Sequence[list[tuple[str, str]]]) -> list[int]:
    """What requests with these headers are answered, on one connection."""
    async with await mesh.tunnel(web.http) as tunnel:
        return [(await http1_request(tunnel, "GET", "/", headers)).status for headers in cases]


async def test_requests_pass_by_the_filter_that_nothing_arms(mesh: Mesh, issuers: Issuers) -> None:
    """It counts all that it lets through, with and without a token: what it never met is not."""
    web, name = mesh.offer("jwt-met"), "inbound-vip_80_http_jwt-met_demo_svc_cluster_local"
    let_through = f"http.{name}.jwt_authn.allowed"
    await mesh.put("jwt-met", web.manifest)
    assert (await mesh.get(web.http)).status == 200
    assert await mesh.envoy.stat(let_through) == 0
    await mesh.put("jwt-met", web.manifest, tokens("jwt-met", inline(issuers.inline)))
    assert (await mesh.get(web.http)).status == 200
    assert await mesh.envoy.stat(let_through) == 1


async def test_a_bad_token_is_refused_and_a_missing_one_passes(
    mesh: Mesh, issuers: Issuers
) -> None:
    web, issuer = mesh.offer("jwt-bad"), issuers.inline
    await mesh.put("jwt-bad", web.manifest, tokens("jwt-bad", inline(issuer, audiences=["shop"])))
    good = issuer.token(aud="shop")
    forged = Issuer(issuer.name).token(aud="shop")
    cases = {
        "none": ([], 200),
        "good": (bearer(good), 200),
        "one of its audiences": (bearer(issuer.token(aud=["x", "shop"])), 200),
        "another audience": (bearer(issuer.token(aud="other")), 403),
        "no audience": (bearer(issuer.token()), 403),
        "another key": (bearer(forged), 401),
        "another issuer": (bearer(issuer.token(iss="other", aud="shop")), 401),
        "expired": (bearer(issuer.token(aud="shop", exp=int(time.time()) - 3600)), 401),
        "not yet": (bearer(issuer.token(aud="shop", nbf=int(time.time()) + 3600)), 401),
        "alg none": (bearer(issuer.unsigned(aud="shop")), 401),
        "changed": (bearer(good[:-4] + "AAAA"), 401),
        "garbage": (bearer("garbage"), 401),
    }
    seen = await statuses(mesh, web, [headers for headers, _ in cases.values()])
    assert dict(zip(cases, seen, strict=True)) == {
        name: status for name, (_, status) in cases.items()
    }


async def test_any_of_several_issuers_will_do(mesh: Mesh, issuers: Issuers) -> None:
    web, other = mesh.offer("jwt-many"), Issuer("other.example")
    await mesh.put(
        "jwt-many",
        web.manifest,
        tokens("jwt-many", inline(issuers.inline), inline(other, fromHeaders=[{"name": "x-t"}])),
        tokens("jwt-many", inline(Issuer("third.example")), name="jwt-third"),
    )
    good, elsewhere = issuers.inline.token(), other.token()
    cases = [
        ([], 200),
        (bearer(good), 200),
        ([("x-t", elsewhere)], 200),
        (bearer("garbage"), 401),
        ([("x-t", "garbage")], 401),
        (bearer(elsewhere), 401),
        ([("x-t", good)], 401),
    ]
    assert await statuses(mesh, web, [headers for headers, _ in cases]) == [
        status for _, status in cases
    ]


async def test_where_tokens_are_looked_for_and_what_is_handed_on(
    mesh: Mesh, issuers: Issuers
) -> None:
    web, issuer = mesh.offer("jwt-where"), issuers.inline
    rule = inline(
        issuer,
        fromHeaders=[{"name": "x-token", "prefix": "Token "}],
        fromParams=["token"],
        fromCookies=["session"],
        forwardOriginalToken=True,
        outputPayloadToHeader="x-payload",
        outputClaimToHeaders=[{"header": "x-user", "claim": "sub"}],
    )
    await mesh.put("jwt-where", web.manifest, tokens("jwt-where", rule))
    token = issuer.token(sub="bob")
    for path, headers in (
        ("/", [("x-token", f"Token {token}")]),
        (f"/?token={token}", []),
        ("/", [("cookie", f"session={token}")]),
    ):
        answer = await mesh.get(web.http, path, [*headers, ("x-user", "forged")])
        assert (answer.status, answer.received("x-user")) == (200, ["bob"])
        assert len(answer.received("x-payload")) == 1
    forged = [("x-user", "forged"), ("x-payload", "forged")]
    preflight = [("origin", "https://a.example"), ("access-control-request-method", "GET")]
    for method, headers in (("GET", forged), ("OPTIONS", [*forged, *preflight])):
        without = await mesh.get(web.http, "/", headers, method=method)
        assert (without.status, without.received("x-user"), without.received("x-payload")) == (
            200,
            [],
            [],
        )


async def test_a_token_is_not_handed_on_unless_that_is_asked(mesh: Mesh, issuers: Issuers) -> None:
    web = mesh.offer("jwt-kept")
    await mesh.put("jwt-kept", web.manifest, tokens("jwt-kept", inline(issuers.inline)))
    answer = await mesh.get(web.http, "/", bearer(issuers.inline.token()))
    assert (answer.status, answer.received("authorization")) == (200, [])


async def test_policies_by_principal_and_claims(mesh: Mesh, issuers: Issuers) -> None:
    web, issuer = mesh.offer("jwt-claims"), issuers.inline
    by_claims = {
        "when": [
            {"key": "request.auth.claims[group][id]", "values": ["admins"]},
            {"key": "request.auth.claims[roles]", "values": ["writer"]},
        ]
    }
    rules = [
        allows({"requestPrincipals": [f"{issuer.name}/carol"]}),
        by_claims,
        {"when": [{"key": "request.auth.claims[scope]", "values": ["pay"]}]},
    ]
    await mesh.put(
        "jwt-claims",
        web.manifest,
        tokens("jwt-claims", inline(issuer)),
        policy("jwt-claims", "demo", *rules, service="jwt-claims"),
    )
    cases = [
        ([], 403),
        (bearer(issuer.token()), 403),
        (bearer(issuer.token(sub="carol")), 200),
        (bearer(issuer.token(sub="caroline")), 403),
        (bearer(issuer.token(group={"id": "admins"}, roles=["reader", "writer"])), 200),
        (bearer(issuer.token(group={"id": ["admins"]}, roles="writer")), 200),
        (bearer(issuer.token(group={"id": "admins"}, roles=["reader"])), 403),
        (bearer(issuer.token(group="admins", roles=["writer"])), 403),
        (bearer(issuer.token(scope="read pay")), 200),
        (bearer(issuer.token(scope="payment")), 403),
        (bearer("garbage"), 401),
    ]
    assert await statuses(mesh, web, [headers for headers, _ in cases]) == [
        status for _, status in cases
    ]


async def test_who_needs_a_token_denies_without_one(mesh: Mesh, issuers: Issuers) -> None:
    web = mesh.offer("jwt-needed")
    deny = allows({"notRequestPrincipals": ["*"]})
    await mesh.put(
        "jwt-needed",
        web.manifest,
        tokens("jwt-needed", inline(issuers.inline)),
        policy("jwt-needed", "demo", deny, action="DENY", service="jwt-needed"),
    )
    good = bearer(issuers.inline.token())
    assert await statuses(mesh, web, [[], good]) == [403, 200]


async def test_keys_are_fetched_over_tls_by_the_proxy(mesh: Mesh, issuers: Issuers) -> None:
    web, issuer = mesh.offer("jwt-fetched"), issuers.served
    rule = {"issuer": issuer.name, "jwksUri": issuers.keys.uri}
    before = issuers.keys.asked
    await mesh.put("jwt-fetched", web.manifest, tokens("jwt-fetched", rule))
    assert await statuses(mesh, web, [[]]) == [200]
    assert issuers.keys.asked == before
    good, forged = bearer(issuer.token()), bearer(Issuer(issuer.name).token())
    assert await statuses(mesh, web, [good, good, forged]) == [200, 200, 401]
    assert issuers.keys.asked == before + 1


async def test_a_key_server_with_another_certificate_is_not_believed(
    mesh: Mesh, issuers: Issuers, net: LoopbackNet, tmp_path: Path
) -> None:
    ip = net.ip(132)
    write_server_certificate(ip, tmp_path / "chain.pem", tmp_path / "unknown-roots.pem")
    keys = KeyServer(issuers.served, ip, tmp_path / "chain.pem")
    await keys.start()
    web = mesh.offer("jwt-mitm")
    rule = {"issuer": issuers.served.name, "jwksUri": keys.uri}
    await mesh.put("jwt-mitm", web.manifest, tokens("jwt-mitm", rule))
    try:
        assert await statuses(mesh, web, [bearer(issuers.served.token()), []]) == [401, 200]
        assert keys.asked == 0
    finally:
        await keys.stop()


async def test_without_keys_no_token_is_valid(mesh: Mesh, issuers: Issuers) -> None:
    issuer = issuers.inline
    nowhere = "https://127.0.0.1:1/jwks"
    rules = {
        "down": {"issuer": issuer.name, "jwksUri": nowhere, "timeout": "500ms"},
        "missing": {"issuer": issuer.name},
        "broken": {"issuer": issuer.name, "jwks": '{"keys": [{"kty": "EC"}]}'},
        "header": inline(issuer, fromHeaders=[{"name": "x y"}]),
        "typo": inline(issuer, audience=["shop"]),
    }
    offers = {name: mesh.offer(f"jwt-{name}") for name in rules}
    manifests = [tokens(f"jwt-{name}", rule) for name, rule in rules.items()]
    await mesh.put("jwt-without", *(each.manifest for each in offers.values()), *manifests)
    good = bearer(issuer.token())
    seen = {name: await statuses(mesh, web, [good, []]) for name, web in offers.items()}
    assert seen == {name: [401, 200] for name in rules}


async def test_issuers_come_and_go_on_open_connections(mesh: Mesh, issuers: Issuers) -> None:
    web = mesh.offer("jwt-live", ports=HTTP_ONLY)
    first, second = issuers.inline, Issuer("second.example")
    await mesh.put("jwt-live", web.manifest)
    before = await mesh.listener_changes()
    tokens_of = [bearer("garbage"), bearer(first.token()), bearer(second.token())]
    async with await mesh.tunnel(web.http) as tunnel:

        async def seen() -> list[int]:
            return [(await http1_request(tunnel, "GET", "/", one)).status for one in tokens_of]

        assert await seen() == [200, 200, 200]
        await mesh.put("jwt-live-ra", tokens("jwt-live", inline(first)))
        assert await seen() == [401, 200, 401]
        await mesh.put("jwt-live-ra", tokens("jwt-live", inline(second)))
        assert await seen() == [401, 401, 200]
        await mesh.put("jwt-live-ra", tokens("jwt-live", inline(first), inline(second)))
        assert await seen() == [401, 200, 200]
        await mesh.remove("jwt-live-ra", tokens("jwt-live"))
        assert await seen() == [200, 200, 200]
    after = await mesh.listener_changes()
    assert after == before


async def test_a_demand_that_no_issuers_came_for_lets_nothing_pass(
    net: LoopbackNet, tmp_path: Path
) -> None:
    """What a proxy does whose extension has not come, as it might be after a refusal."""
    ip, port = net.ip(133), 8080
    demand = Authentication((JwtProvider("p", "issuer", NoKeys()),))
    table = RouteTable("t", "web.demo", 80, (), authentication=demand)
    listener = Listener(
        name="plain",
        address=socket_address(ip, port),
        filter_chains=[FilterChain(filters=[requests(HttpChain("t", "web.demo", 80))])],
    )
    resources = [(TypeUrl.LISTENER.value, listener), (TypeUrl.ROUTE.value, render(table))]
    async with (
        await EnvoyProcess.start(bootstrap_of(resources), tmp_path, "no-extension"),
        await TcpStream.connect(ip, port) as stream,
    ):
        assert (await http1_request(stream, "GET", "/")).status == 403
