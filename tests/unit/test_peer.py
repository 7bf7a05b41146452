"""Who is calling over plaintext: loopback alone, and only what the metadata names."""

from dataclasses import replace

import pytest

from translators.ir.place import NOWHERE, Place
from translators.ir.waypoint import WaypointName
from translators.wire.node import JsonValue, Node
from xds_server.identity.peer import (
    GATEWAY_NAME_LABEL,
    Denied,
    InsecureAddress,
    LoopbackAuthenticator,
    Peer,
    Proxy,
    check_plaintext_address,
)

LOCAL = Peer("ipv4:127.0.0.1:40112")


def node(**metadata: JsonValue) -> Node:
    claim: dict[str, JsonValue] = {"NAMESPACE": "shop", "LABELS": {GATEWAY_NAME_LABEL: "waypoint"}}
    return Node(id="envoy-1", metadata=claim | metadata)


async def proxy_of(peer: Peer, node: Node) -> Proxy:
    authenticator = LoopbackAuthenticator()
    return authenticator.admit(await authenticator.identify(peer), node)


async def test_a_local_caller_is_the_waypoint_that_it_names() -> None:
    proxy = await proxy_of(LOCAL, node())

    assert proxy.waypoint == WaypointName("shop", "waypoint")
    assert proxy.node_id == "envoy-1"
    assert proxy.bind == "0.0.0.0:15008"


@pytest.mark.parametrize(
    ("id_", "metadata", "place"),
    [
        ("waypoint~10.0.0.1~wp-5d8f.shop~shop.svc.cluster.local", {}, Place(pod="shop/wp-5d8f")),
        ("waypoint~10.0.0.1~wp-5d8f.other~shop.svc.cluster.local", {}, NOWHERE),
        ("envoy-1", {"NODE_NAME": "n1"}, Place(node="n1")),
        ("envoy-1", {"NODE_NAME": "n" * 513}, NOWHERE),
        ("envoy-1", {"NODE_NAME": 1}, NOWHERE),
    ],
)
async def test_where_a_proxy_runs(id_: str, metadata: dict[str, JsonValue], place: Place) -> None:
    claimed = replace(node(**metadata), id=id_)
    assert (await proxy_of(LOCAL, claimed)).place == place
    located = replace(claimed, region="r", zone="z")
    assert (await proxy_of(LOCAL, located)).place == place._replace(region="r", zone="z")


@pytest.mark.parametrize(
    ("claimed", "bind"),
    [
        ("127.0.0.2:15008", "127.0.0.2:15008"),
        ("[::1]:15008", "[::1]:15008"),
        ("[0:0:0:0:0:0:0:1]:15008", "[::1]:15008"),
    ],
)
async def test_a_bind_has_one_spelling(claimed: str, bind: str) -> None:
    proxy = await proxy_of(LOCAL, node(WAYPOST_BIND=claimed))

    assert proxy.bind == bind


@pytest.mark.parametrize(
    "bind",
    ["", "15008", "127.0.0.1", "::1:15008", "localhost:1", "127.0.0.1:65536", "1.1.1.1:x", 1.0],
)
async def test_a_bad_bind_is_denied(bind: JsonValue) -> None:
    with pytest.raises(Denied, match="WAYPOST_BIND"):
        await proxy_of(LOCAL, node(WAYPOST_BIND=bind))


@pytest.mark.parametrize(
    ("claim", "hint"),
    [
        (node(NAMESPACE=""), "NAMESPACE"),
        (node(NAMESPACE=True), "NAMESPACE"),
        (node(NAMESPACE="a/b"), "valid"),
        (node(LABELS={}), GATEWAY_NAME_LABEL),
        (node(LABELS="waypoint"), GATEWAY_NAME_LABEL),
        (node(LABELS={GATEWAY_NAME_LABEL: ["x"]}), GATEWAY_NAME_LABEL),
        (node(LABELS={GATEWAY_NAME_LABEL: "a/b"}), "valid"),
        (Node(id="envoy-1"), "NAMESPACE"),
        (Node(metadata=node().metadata), "node.id"),
        (Node(id="x" * 1025, metadata=node().metadata), "node.id"),
    ],
)
async def test_a_missing_claim_is_denied_and_says_what_to_set(claim: Node, hint: str) -> None:
    with pytest.raises(Denied, match=hint):
        await proxy_of(LOCAL, claim)


@pytest.mark.parametrize("address", ["ipv6:%5B::1%5D:59762", "ipv6:[::1]:5", "unix:", "unix:/x"])
async def test_callers_on_this_host_are_believed(address: str) -> None:
    assert await proxy_of(Peer(address), node())


@pytest.mark.parametrize(
    "address",
    [
        "ipv4:10.0.0.1:40112",
        "ipv6:%5B2001:db8::1%5D:1",
        "",
        "ipv4:",
        "vsock:2:1",
        "tcp:127.0.0.1:1",
    ],
)
async def test_callers_from_elsewhere_are_denied(address: str) -> None:
    with pytest.raises(Denied, match="this host"):
        await proxy_of(Peer(address), node())


@pytest.mark.parametrize(
    "address", ["127.0.0.1:15010", "127.9.9.9:0", "[::1]:15010", "unix:/run/x.sock"]
)
def test_plaintext_may_stay_on_this_host(address: str) -> None:
    check_plaintext_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0:15010",
        "[::]:15010",
        "10.1.2.3:15010",
        "localhost:15010",
        "127.0.0.1",
        "127.0.0.1:",
        "::1:15010",
        "",
        ":15010",
        "127.0.0.1.example.com:15010",
        "[::ffff:10.0.0.1]:1",
    ],
)
def test_plaintext_may_not_leave_this_host(address: str) -> None:
    with pytest.raises(InsecureAddress, match="loopback"):
        check_plaintext_address(address)
