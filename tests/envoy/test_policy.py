"""AuthorizationPolicies, from the manifest to what a client is allowed."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.hbone import ConnectRefusedError
from tests.support.http1 import http1_request
from tests.support.http2 import Http2Connection, http2_request
from tests.support.manifests import DECLARED, WAYPOINT, allows, backend, path, policy, route, rule
from tests.support.mesh import DRAIN_S, Mesh
from tests.support.stream import ByteStream, StreamClosedError
from xds_server.demo.ztunnel import Address, SvidFiles

pytestmark = pytest.mark.asyncio(loop_scope="session")

FRIEND = {"principals": ["cluster.local/ns/demo/sa/friend"]}
BODY = "RBAC: access denied"


async def statuses(
    mesh: Mesh, to: Address, paths: Sequence[str], caller: SvidFiles | None = None
) -> list[int]:
    """What each path is answered, on one connection."""
    async with await mesh.tunnel(to, caller) as tunnel:
        return [(await http1_request(tunnel, "GET", one)).status for one in paths]


async def test_allow_by_identity(mesh: Mesh) -> None:
    web = mesh.offer("by-identity")
    rules = policy("by-identity", "demo", allows(FRIEND), service="by-identity")
    await mesh.put("by-identity", web.manifest, rules)
    assert (await mesh.get(web.http)).status == 200
    refused = await mesh.get(web.http, caller=mesh.stranger)
    assert (refused.status, refused.body.decode()) == (403, BODY)


async def test_allow_by_service_account_of_another_namespace(mesh: Mesh) -> None:
    web = mesh.offer("by-account")
    rules = policy(
        "by-account", "demo", allows({"serviceAccounts": ["bank/teller"]}), service="by-account"
    )
    await mesh.put("by-account", web.manifest, rules)
    teller = mesh.certs.svid("bank", "teller")
    assert (await mesh.get(web.http, caller=teller)).status == 200
    assert (await mesh.get(web.http)).status == 403


async def test_namespaces(mesh: Mesh) -> None:
    web, other = mesh.offer("by-namespace"), mesh.offer("not-by-namespace")
    await mesh.put(
        "by-namespace",
        web.manifest,
        other.manifest,
        policy("by-ns", "demo", allows({"namespaces": ["bank"]}), service="by-namespace"),
        policy("not-ns", "demo", allows({"notNamespaces": ["bank"]}), service="not-by-namespace"),
    )
    teller = mesh.certs.svid("bank", "teller")
    assert (await mesh.get(web.http, caller=teller)).status == 200
    assert (await mesh.get(web.http)).status == 403
    assert (await mesh.get(other.http, caller=teller)).status == 403
    assert (await mesh.get(other.http)).status == 200


async def test_allow_by_path_method_host_and_port(mesh: Mesh) -> None:
    offers = {name: mesh.offer(f"op-{name}") for name in ("path", "method", "host", "port")}
    operations: dict[str, Any] = {
        "path": {"paths": ["/open", "/tree/*", "*.css"]},
        "method": {"methods": ["GET", "HEAD"]},
        "host": {"hosts": ["shop.example", "*.trusted.example"]},
        "port": {"ports": ["8000"]},
    }
    policies = [
        policy(f"op-{name}", "demo", allows(None, operation), service=f"op-{name}")
        for name, operation in operations.items()
    ]
    await mesh.put("operations", *(o.manifest for o in offers.values()), *policies)
    open_to_all = ("/open", "/open?x=1", "/open;x", "/tree/x/y", "/a/b.css")
    closed = ("/open/", "/OPEN", "/open;/admin", "/open;x/admin", "/tree", "/a.css.x", "/")
    assert await statuses(mesh, offers["path"].http, open_to_all) == [200] * len(open_to_all)
    assert await statuses(mesh, offers["path"].http, closed) == [403] * len(closed)
    for method, status in (("GET", 200), ("HEAD", 200), ("POST", 403), ("DELETE", 403)):
        assert (await mesh.get(offers["method"].http, method=method)).status == status
    hosts = ("shop.example", "SHOP.example", "a.trusted.example", "trusted.example", "other")
    seen = [(await mesh.get(offers["host"].http, "/", [("host", h)])).status for h in hosts]
    assert seen == [200, 200, 200, 403, 403]
    assert (await mesh.get(offers["port"].http)).status == 403
    assert (await mesh.get(offers["port"].undeclared)).status == 200


async def test_deny_wins_over_allow(mesh: Mesh) -> None:
    web = mesh.offer("deny-wins")
    everything = policy("deny-wins-allow", "demo", {}, service="deny-wins")
    admin = policy(
        "deny-wins-deny",
        "demo",
        allows(FRIEND, {"paths": ["/admin*"]}),
        action="DENY",
        service="deny-wins",
    )
    await mesh.put("deny-wins", web.manifest, everything, admin)
    assert await statuses(mesh, web.http, ("/", "/admin", "/admin/x")) == [200, 403, 403]
    assert await statuses(mesh, web.http, ("/", "/admin"), mesh.stranger) == [200, 200]


async def test_allow_without_rules_allows_nobody(mesh: Mesh) -> None:
    web = mesh.offer("nobody")
    await mesh.put("nobody", web.manifest, policy("nobody", "demo", service="nobody"))
    assert (await mesh.get(web.http)).status == 403
    for to in (web.tcp, web.banner, web.undeclared):
        with pytest.raises(ConnectRefusedError) as refusal:
            await mesh.tunnel(to)
        assert refusal.value.status == 403


async def test_strangers_do_not_learn_which_paths_exist(mesh: Mesh) -> None:
    web = mesh.offer("unmatched")
    only = route("unmatched", "demo", "unmatched", rule(path("/x"), to=[backend("unmatched")]))
    rules = policy("unmatched", "demo", allows(FRIEND), service="unmatched")
    await mesh.put("unmatched", web.manifest, only, rules)
    assert await statuses(mesh, web.http, ("/x", "/y")) == [200, 404]
    assert await statuses(mesh, web.http, ("/x", "/y"), mesh.stranger) == [403, 403]


async def test_an_edit_bites_on_connections_that_are_open(mesh: Mesh) -> None:
    web = mesh.offer("revoked", ports=DECLARED)
    open_to = policy("revoked", "demo", allows(FRIEND), service="revoked")
    closed_to = policy("revoked", "demo", allows({"namespaces": ["none"]}), service="revoked")
    await mesh.put("revoked", web.manifest, open_to)
    before = await mesh.listener_changes()
    async with (
        await mesh.tunnel(web.http) as http1,
        await mesh.tunnel(web.grpc) as http2,
        Http2Connection(http2) as h2c,
    ):
        for rules, status in ((open_to, 200), (closed_to, 403), (open_to, 200)):
            await mesh.put("revoked", web.manifest, rules)
            answer = await http1_request(http1, "GET", "/")
            assert (answer.status, answer.header("connection")) == (status, None)
            assert (await http2_request(h2c, "GET", "/")).status == status
        assert not h2c.goaway
    assert await mesh.listener_changes() == before


async def test_policy_of_the_whole_waypoint(mesh: Mesh) -> None:
    web = mesh.offer("whole")
    await mesh.put("whole", web.manifest)
    lost = policy(
        "whole", "demo", allows(None, {"paths": ["/whole*"]}), action="DENY", gateway=WAYPOINT
    )
    await mesh.put("whole-policy", lost)
    assert await statuses(mesh, web.http, ("/", "/whole")) == [200, 403]
    await mesh.remove("whole-policy", lost)
    assert await statuses(mesh, web.http, ("/", "/whole")) == [200, 200]


@pytest.mark.parametrize("port", ["tcp", "banner"])
async def test_refused_tcp_reaches_nobody(mesh: Mesh, port: str) -> None:
    name = f"tcp-{port}"
    db = mesh.offer(name)
    await mesh.put(name, db.manifest, policy(name, "demo", allows(FRIEND), service=name))
    to = db.tcp if port == "tcp" else db.banner
    dialled = r"^cluster\.connect_originate\.upstream_rq_total$"
    before = await mesh.envoy.stats(dialled)
    with pytest.raises(ConnectRefusedError) as refusal:
        await mesh.tunnel(to, mesh.stranger)
    assert refusal.value.status == 403
    assert await mesh.envoy.stats(dialled) == before
    async with await mesh.tunnel(to) as tunnel:
        await tunnel.write(b"ping\n")
        expected = b"ping\n" if port == "tcp" else b"hello from app\n"
        assert await tunnel.readuntil(b"\n") == expected
    assert sum((await mesh.envoy.stats(dialled)).values()) > sum(before.values())


async def test_a_policy_about_requests_on_a_port_that_declares_nothing(mesh: Mesh) -> None:
    web = mesh.offer("auto-deny")
    deny = policy(
        "auto-deny", "demo", allows(None, {"paths": ["/x*"]}), action="DENY", service="auto-deny"
    )
    await mesh.put("auto-deny", web.manifest, deny)
    assert await statuses(mesh, web.undeclared, ("/", "/x", "/xy")) == [200, 403, 403]
    # What is no HTTP has no path: a DENY that is about paths must not let it pass unseen.
    async with await mesh.tunnel(web.at(9001)) as tunnel:
        with pytest.raises(StreamClosedError):
            await _echoed(tunnel, b"\0ping")


async def test_an_edit_for_a_port_that_declares_nothing_changes_no_listener(mesh: Mesh) -> None:
    web = mesh.offer("auto-edit")
    await mesh.put("auto-edit", web.manifest)
    before = await mesh.listener_changes()
    dialled = r"^cluster\.connect_originate\.upstream_rq_total$"
    who = {"notPrincipals": ["cluster.local/ns/demo/sa/friend"]}
    deny = policy(
        "auto-edit", "demo", allows(who, {"paths": ["/x"]}), action="DENY", service=web.name
    )
    allow = policy("auto-edit", "demo", allows(FRIEND, {"paths": ["/x"]}), service=web.name)
    async with await mesh.tunnel(web.at(9001), mesh.stranger) as early:
        assert await _echoed(early, b"\0one") == b"\0one"
        for rules, status in ((deny, 403), (allow, 403), (deny, 403)):
            await mesh.put("auto-edit-policy", rules)
            calls = await mesh.envoy.stats(dialled)
            for port in (9000, 9001):  # a server that speaks first is not heard either
                async with await mesh.tunnel(web.at(port), mesh.stranger) as refused:
                    with pytest.raises(StreamClosedError):
                        assert not await _echoed(refused, b"\0ping")
            assert await mesh.envoy.stats(dialled) == calls
            assert await statuses(mesh, web.undeclared, ("/x",), mesh.stranger) == [status]
            assert await statuses(mesh, web.undeclared, ("/x",)) == [200]
        async with await mesh.tunnel(web.at(9001)) as friend:
            assert await _echoed(friend, b"\0ping") == b"\0ping"
        await mesh.remove("auto-edit-policy", deny)
        async with await mesh.tunnel(web.at(9001), mesh.stranger) as late:
            assert await _echoed(late, b"\0two") == b"\0two"
        await asyncio.sleep(DRAIN_S + 0.5)  # an affected connection would be closed by then
        assert await _echoed(early, b"\0three") == b"\0three"
    assert await mesh.listener_changes() == before
    assert '"policy":"ns[demo]-policy[auto-edit]-rule[0]"' in mesh.envoy.log()


async def _echoed(stream: ByteStream, data: bytes) -> bytes:
    await stream.write(data)
    return await stream.readexactly(len(data))


async def test_forged_source_addresses(mesh: Mesh) -> None:
    near, far = mesh.offer("ip-near"), mesh.offer("ip-far")
    client = f"{mesh.clients.ip}/32"
    await mesh.put(
        "ip-blocks",
        near.manifest,
        far.manifest,
        policy("ip-near", "demo", allows({"ipBlocks": [client]}), service="ip-near"),
        policy("ip-far", "demo", allows({"ipBlocks": ["10.9.9.0/24"]}), service="ip-far"),
    )
    forged = [
        [("x-forwarded-for", "10.9.9.9")],
        [("x-waypost-source", "10.9.9.9")],
        [("x-envoy-external-address", "10.9.9.9"), ("x-real-ip", "10.9.9.9")],
        [("forwarded", "for=10.9.9.9")],
        [],
    ]
    for headers in forged:
        assert (await mesh.get(near.http, "/", headers)).status == 200
        assert (await mesh.get(far.http, "/", headers)).status == 403


async def test_a_forged_client_certificate_header_is_replaced(mesh: Mesh) -> None:
    web = mesh.offer("xfcc")
    await mesh.put("xfcc", web.manifest)
    boss = "By=spiffe://x;URI=spiffe://cluster.local/ns/demo/sa/boss"
    forged = [("x-forwarded-client-cert", boss), ("X-Forwarded-Client-Cert", boss)]
    answer = await mesh.get(web.http, "/", forged)
    expected = f"By={mesh.clients.waypoint.identity};URI={mesh.friend.uri}"
    assert answer.received("x-forwarded-client-cert") == [expected]
    async with mesh.http2(web.grpc) as connection:
        answer = await http2_request(connection, "GET", "/", forged[:1])
    assert answer.received("x-forwarded-client-cert") == [expected]


TRICKS = {
    "/admin": 403,
    "//admin": 403,
    "/./admin": 403,
    "/a/../admin": 403,
    "/%61dmin": 403,
    "/a/%2e%2e/admin": 403,
    "/admin?x=1": 403,
    "/admin#x": 400,  # a fragment is no part of a request
    "/%2fadmin": 307,  # redirected to the form in which the policy sees it
    "/%5cadmin": 307,
    "/admin;x": 403,  # parameters of a segment are no part of its name (RFC 3986, 3.3)
    "/a/..;x/admin": 403,
    "/ADMIN": 200,  # paths are case-sensitive (RFC 9110, 4.2.3): this is another one
    "/open": 200,
}


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "prefix"])
async def test_no_spelling_of_a_path_gets_around_a_policy(mesh: Mesh, exact: bool) -> None:
    name = f"tricks-{exact}".lower()
    web = mesh.offer(name)
    paths = ["/admin"] if exact else ["/admin*"]
    deny = policy(name, "demo", allows(None, {"paths": paths}), action="DENY", service=name)
    await mesh.put(name, web.manifest, deny)
    over_http1 = {p: (await mesh.get(web.http, p)).status for p in TRICKS}
    async with mesh.http2(web.grpc) as connection:
        over_http2 = {p: (await http2_request(connection, "GET", p)).status for p in TRICKS}
    assert over_http1 == TRICKS
    assert over_http2 == TRICKS
