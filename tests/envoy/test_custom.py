"""CUSTOM policies with real providers, from the manifest to what a client and a provider see."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.consent import GRPC_PORT, Providers
from tests.support.hbone import ConnectRefusedError
from tests.support.http1 import http1_request
from tests.support.manifests import (
    HTTP,
    Manifest,
    allows,
    backend,
    namespace,
    path,
    pod,
    policy,
    route,
    rule,
    service,
    service_entry,
)
from tests.support.mesh import Mesh

pytestmark = pytest.mark.asyncio(loop_scope="session")


def custom(service: str, provider: str, *rules: Manifest) -> Manifest:
    """A CUSTOM policy of a service, called like its provider."""
    made: Any = policy(
        f"{service}-{provider}", "demo", *(rules or ({},)), action="CUSTOM", service=service
    )
    return {**made, "spec": {**made["spec"], "provider": {"name": provider}}}


async def test_grpc_decides_and_knows_the_client(mesh: Mesh, providers: Providers) -> None:
    web = mesh.offer("custom-grpc")
    rule = allows(None, {"paths": ["/asked*"]})
    await mesh.put("custom-grpc", web.manifest, custom("custom-grpc", "grpc", rule))
    forged = [("x-waypost-client-principal", "spiffe://forged"), ("x-forwarded-client-cert", "f")]
    answer = await mesh.get(web.http, "/asked/1", forged)
    assert (answer.status, answer.received("x-consent")) == (200, ["grpc"])
    question = providers.grpc.questions[-1]
    assert question.path == "/asked/1"
    assert question.client == mesh.friend.uri
    assert f"URI={mesh.friend.uri}" in question.headers["x-forwarded-client-cert"]
    refused = await mesh.get(web.http, "/asked/2", [("x-refuse", "grpc")])
    assert (refused.status, refused.body) == (402, b"no consent")


async def test_a_provider_may_be_outside_the_cluster(mesh: Mesh, providers: Providers) -> None:
    web = mesh.offer("custom-outside")
    port = {"number": GRPC_PORT, "name": "grpc", "protocol": "GRPC"}
    where = [{"address": providers.ip}]
    host = "consent.example.com"
    entry = service_entry("consent", "demo", host, resolution="STATIC", ports=[port])
    entry = {**entry, "spec": {**entry["spec"], "endpoints": where}}
    asked = custom("custom-outside", "outside")
    await mesh.put("custom-outside", web.manifest, asked)
    assert (await mesh.get(web.http)).status == 403
    await mesh.put("custom-outside", web.manifest, asked, entry)
    assert (await mesh.get(web.http)).received("x-consent") == ["grpc"]
    assert (await mesh.get(web.http, "/", [("x-refuse", "grpc")])).status == 402


async def test_only_what_the_rules_match_is_asked_about(mesh: Mesh, providers: Providers) -> None:
    web = mesh.offer("custom-gate")
    rule = allows({"notPrincipals": ["cluster.local/ns/demo/sa/friend"]}, {"paths": ["/gate"]})
    await mesh.put("custom-gate", web.manifest, custom("custom-gate", "grpc", rule))
    before = len(providers.grpc.questions)
    refuse = [("x-refuse", "grpc")]
    assert (await mesh.get(web.http, "/gate", refuse)).status == 200
    assert (await mesh.get(web.http, "/other", refuse, caller=mesh.stranger)).status == 200
    assert len(providers.grpc.questions) == before
    assert (await mesh.get(web.http, "/gate", refuse, caller=mesh.stranger)).status == 402


async def test_http_is_shown_and_hands_on_what_is_configured(
    mesh: Mesh, providers: Providers
) -> None:
    web = mesh.offer("custom-http")
    await mesh.put("custom-http", web.manifest, custom("custom-http", "http"))
    forged = [("x-waypost-client-principal", "spiffe://forged"), ("x-hidden", "1")]
    answer = await mesh.get(web.http, "/p?q=1", forged)
    assert answer.status == 200
    assert (answer.received("x-user"), answer.received("x-other")) == (["alice"], [])
    question = providers.http.questions[-1]
    assert question.path == "/check/p?q=1"
    assert question.client == mesh.friend.uri
    assert question.headers["x-added"] == "100%"
    assert "x-hidden" not in question.headers
    refused = await mesh.get(web.http, "/", [("x-refuse", "http")])
    assert (refused.status, refused.header("location")) == (403, "https://login.example")
    assert refused.header("x-secret") is None


async def test_all_providers_must_consent(mesh: Mesh, providers: Providers) -> None:
    web = mesh.offer("custom-both")
    policies = [custom("custom-both", name) for name in ("grpc", "http")]
    await mesh.put("custom-both", web.manifest, *policies)
    asked = len(providers.http.questions)
    answer = await mesh.get(web.http)
    assert (answer.status, answer.received("x-consent")) == (200, ["grpc"])
    assert answer.received("x-user") == ["alice"]
    assert len(providers.http.questions) == asked + 1
    for name, status in (("grpc", 402), ("http", 403)):
        assert (await mesh.get(web.http, "/", [("x-refuse", name)])).status == status


async def test_bodies_go_on_after_consent_and_are_shown_if_that_is_configured(
    mesh: Mesh, providers: Providers
) -> None:
    plain, shown = mesh.offer("custom-body"), mesh.offer("custom-shown")
    policies = [custom("custom-body", "grpc"), custom("custom-shown", "reader")]
    await mesh.put("custom-body", plain.manifest, shown.manifest, *policies)
    body = b"x" * 200_000
    for web, seen in ((plain, 0), (shown, 1000)):
        answer = await mesh.get(web.http, "/", method="POST", body=body)
        assert (answer.status, answer.json()["body_bytes"]) == (200, len(body))
        assert len(providers.grpc.questions[-1].body) == seen
        refuse = [("x-refuse", "grpc")]
        assert (await mesh.get(web.http, "/", refuse, method="POST", body=body)).status == 402


@pytest.mark.parametrize(
    ("provider", "status"), [("dead", 503), ("dead-open", 200), ("lost", 403), ("unknown", 403)]
)
async def test_who_cannot_be_asked_refuses_unless_it_fails_open(
    mesh: Mesh, providers: Providers, provider: str, status: int
) -> None:
    name = f"custom-{provider}"
    web = mesh.offer(name)
    rule = allows(None, {"paths": ["/guarded"]})
    await mesh.put(name, web.manifest, custom(name, provider, rule))
    assert (await mesh.get(web.http, "/guarded")).status == status
    assert (await mesh.get(web.http, "/free")).status == 200


async def test_deny_comes_after_consent(mesh: Mesh, providers: Providers) -> None:
    web = mesh.offer("custom-deny")
    deny = policy(
        "custom-deny",
        "demo",
        allows(None, {"paths": ["/no"]}),
        action="DENY",
        service="custom-deny",
    )
    await mesh.put("custom-deny", web.manifest, custom("custom-deny", "grpc"), deny)
    assert (await mesh.get(web.http, "/yes")).status == 200
    assert (await mesh.get(web.http, "/no")).status == 403
    assert (await mesh.get(web.http, "/no", [("x-refuse", "grpc")])).status == 402


async def test_a_tcp_port_is_asked_about_on_its_tunnel(mesh: Mesh, providers: Providers) -> None:
    db = mesh.offer("custom-tcp")
    await mesh.put("custom-tcp", db.manifest, custom("custom-tcp", "grpc"))
    async with await mesh.tunnel(db.banner) as tunnel:
        assert (await tunnel.readuntil(b"\n")).startswith(b"hello")
    assert providers.grpc.questions[-1].client == mesh.friend.uri
    assert providers.grpc.questions[-1].principal == mesh.friend.uri


@pytest.mark.parametrize("provider", ["dead", "unknown"])
async def test_a_tcp_port_is_closed_if_nobody_can_be_asked(
    mesh: Mesh, providers: Providers, provider: str
) -> None:
    name = f"custom-tcp-{provider}"
    db = mesh.offer(name)
    await mesh.put(name, db.manifest, custom(name, provider))
    with pytest.raises(ConnectRefusedError) as refusal:
        await mesh.tunnel(db.banner)
    assert refusal.value.status in (403, 503)


async def test_a_check_comes_and_goes_on_open_connections(mesh: Mesh, providers: Providers) -> None:
    web = mesh.offer("custom-live", ports=(("http", 80, HTTP),))
    check = custom("custom-live", "grpc")
    await mesh.put("custom-live", web.manifest)
    await mesh.put("custom-warm", mesh.offer("custom-warm").manifest, custom("custom-warm", "grpc"))
    refuse = [("x-refuse", "grpc")]
    before = await mesh.listener_changes()
    async with await mesh.tunnel(web.http) as tunnel:
        assert (await http1_request(tunnel, "GET", "/", refuse)).status == 200
        await mesh.put("custom-live-policy", check)
        assert (await http1_request(tunnel, "GET", "/", refuse)).status == 402
        await mesh.remove("custom-live-policy", check)
        assert (await http1_request(tunnel, "GET", "/", refuse)).status == 200
    after = await mesh.listener_changes()
    assert _of_listeners(after) == _of_listeners(before)


def _of_listeners(counters: Mapping[str, int]) -> Mapping[str, int]:
    return {name: value for name, value in counters.items() if name.startswith("listener_manager")}


async def test_routes_of_clients_do_not_overwrite_what_a_provider_vouches_for(
    mesh: Mesh, providers: Providers
) -> None:
    web = mesh.offer("custom-theirs")
    forged = [{"name": "x-user", "value": "root"}, {"name": "x-own", "value": "100%"}]
    edit = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": forged}}
    to = backend("custom-theirs", namespace="demo")
    asked = {
        "type": "ExternalAuth",
        "externalAuth": {
            "protocol": "GRPC",
            "backendRef": {"name": "theirs", "port": GRPC_PORT},
            "grpc": {},
        },
    }
    rules = (
        rule(path("/rule"), to=[to], filters=[edit]),
        rule(path("/backend"), to=[{**to, "filters": [edit]}]),
        rule(path("/authorizer"), to=[to], filters=[asked]),
    )
    theirs = route("custom-theirs", "guests", "custom-theirs", *rules)
    theirs["spec"]["parentRefs"][0]["namespace"] = "demo"
    deny = policy(
        "custom-theirs-own",
        "demo",
        {"when": [{"key": "request.headers[x-own]", "values": ["100%"]}]},
        action="DENY",
        service="custom-theirs",
    )
    ports = [("grpc", GRPC_PORT, GRPC_PORT)]
    own = service("theirs", "guests", "10.97.0.9", {"app": "consent"}, ports)
    own_pod = pod("theirs", "guests", providers.ip, {"app": "consent"}, captured=False)
    manifests = (web.manifest, custom("custom-theirs", "http"), namespace("guests"), theirs)
    await mesh.put("custom-theirs", *manifests, own, own_pod)
    guest = mesh.certs.svid("guests", "any")
    for target in ("/rule", "/backend"):
        answer = await mesh.get(web.http, target, caller=guest)
        assert answer.status == 200
        assert (answer.received("x-user"), answer.received("x-own")) == (["alice"], ["100%"])
    answer = await mesh.get(web.http, "/authorizer", caller=guest)
    assert (answer.status, answer.received("x-consent")) == (200, [])
    refused = await mesh.get(web.http, "/authorizer", [("x-refuse", "grpc")], caller=guest)
    assert refused.status == 402
    await mesh.put("custom-theirs-deny", deny)
    assert (await mesh.get(web.http, "/rule", caller=guest)).status == 403, "policies see the edit"
