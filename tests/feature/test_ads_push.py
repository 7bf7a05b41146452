"""From a published snapshot to what a client holds, over real gRPC, in both variants."""

import asyncio

import pytest

from tests.support.adsclient import AdsClient
from tests.support.adsserver import BIND, SHOP, eventually, running
from tests.support.resources import cluster, endpoint, listener, resource, route, secret
from translators.wire.resource import TypeUrl
from xds_server.snapshots import ProxyKey

both = pytest.mark.parametrize("variant", ["delta", "sotw"])

KEY = ProxyKey(SHOP, BIND)


async def follow_everything(client: AdsClient) -> None:
    """Ask as an Envoy does that has the names of its routes, endpoints and secrets."""
    await client.subscribe(TypeUrl.CLUSTER, "*")
    await client.subscribe(TypeUrl.SECRET, "s")
    await client.subscribe(TypeUrl.ENDPOINT, "a")
    await client.subscribe(TypeUrl.LISTENER, "*")
    await client.subscribe(TypeUrl.ROUTE, "r")


@both
async def test_a_client_gets_all_that_it_asks_for_and_nothing_else(variant: str) -> None:
    clusters, endpoints = [cluster("a"), cluster("b")], [endpoint("a"), endpoint("b")]
    routes = [route("r"), route("other")]
    shop = [*clusters, *endpoints, *routes, listener("l"), secret("s")]
    async with running(shop=shop) as server, server.client(variant) as client:
        await follow_everything(client)
        await client.quiesce()

    assert {type_url: sorted(names) for type_url, names in client.contents.items()} == {
        TypeUrl.CLUSTER: ["a", "b"],
        TypeUrl.ENDPOINT: ["a"],
        TypeUrl.LISTENER: ["l"],
        TypeUrl.ROUTE: ["r"],
        TypeUrl.SECRET: ["s"],
    }


@both
async def test_changes_are_pushed(variant: str) -> None:
    shop = [cluster("a", "1"), cluster("b")]
    async with running(shop=shop) as server, server.client(variant) as client:
        await client.subscribe(TypeUrl.CLUSTER, "*")
        await client.until(TypeUrl.CLUSTER, {"a": b"a=1", "b": b"b=1"})
        server.world.set(SHOP, cluster("a", "2"), cluster("b"))
        await client.until(TypeUrl.CLUSTER, {"a": b"a=2", "b": b"b=1"})
        server.world.set(SHOP, cluster("a", "2"), cluster("c"))
        await client.until(TypeUrl.CLUSTER, {"a": b"a=2", "c": b"c=1"})


@both
async def test_nothing_is_sent_when_nothing_changed(variant: str) -> None:
    shop = [cluster("a"), listener("l")]
    async with running(shop=shop) as server, server.client(variant) as client:
        await client.subscribe(TypeUrl.CLUSTER, "*")
        await client.subscribe(TypeUrl.LISTENER, "*")
        await client.quiesce()
        for changed in (None, (), {cluster("a").key}):
            server.world.store.publish(KEY, server.world.wanted[SHOP], changed)

            assert await client.quiesce() == []


async def test_delta_sends_only_what_changed() -> None:
    big = [cluster(f"c{number}", "x" * 1000) for number in range(100)]
    async with running(shop=big) as server, server.delta() as client:
        await client.subscribe(TypeUrl.CLUSTER, "*")
        await client.quiesce()
        sent = server.service.counters.resource_bytes_sent
        server.world.set(SHOP, *big[1:], cluster("c0", "new"))
        await client.until(TypeUrl.CLUSTER, {**client.contents[TypeUrl.CLUSTER], "c0": b"c0=new"})

        assert server.service.counters.resource_bytes_sent - sent == len(b"c0=new")


@both
async def test_many_changes_meet_one_slow_client_as_one(variant: str) -> None:
    async with running(shop=[cluster("a", "0")]) as server, server.client(variant) as client:
        await client.subscribe(TypeUrl.CLUSTER, "*")
        first = await client.receive()
        for number in range(1, 100):
            server.world.set(SHOP, cluster("a", str(number)))
            await asyncio.sleep(0)
        await client.ack(first)

        [response] = await client.quiesce()
        assert response.contents == {"a": b"a=99"}


@both
async def test_an_envoy_may_start_before_its_gateway(variant: str) -> None:
    async with running() as server, server.client(variant) as client:
        await client.subscribe(TypeUrl.CLUSTER, "*")
        await eventually(lambda: server.service.counters.requests == 1)
        assert sum(server.service.counters.responses.values()) == 0
        server.world.set(SHOP, cluster("a"))

        await client.until(TypeUrl.CLUSTER, {"a": b"a=1"})


async def test_a_client_that_comes_back_gets_no_resource_bytes() -> None:
    contents = [cluster("a"), endpoint("a"), listener("l"), route("r"), secret("s")]
    async with running(shop=contents) as server:
        async with server.delta() as client:
            await follow_everything(client)
            await client.quiesce()
        held = client.held
    async with running(shop=contents) as restarted, restarted.delta(held=held) as client:
        await follow_everything(client)
        came = await client.quiesce()

        assert restarted.service.counters.resource_bytes_sent == 0
        assert not any(response.contents or response.removed for response in came)
        state = restarted.service.registry.streams()[0].state()
        assert state[cluster("a").key].acked == cluster("a").version


async def test_a_client_that_comes_back_gets_the_differences_alone() -> None:
    async with running(shop=[cluster("same"), cluster("edited"), cluster("gone")]) as server:
        async with server.delta() as client:
            await client.subscribe(TypeUrl.CLUSTER, "*")
            await client.quiesce()
        server.world.set(SHOP, cluster("same"), cluster("edited", "2"), cluster("new"))
        async with server.delta(held=client.held) as client:
            await client.subscribe(TypeUrl.CLUSTER, "*")
            came = await client.quiesce()

    contents = {name: body for response in came for name, body in response.contents.items()}
    assert contents == {"edited": b"edited=2", "new": b"new=1"}
    assert [name for response in came for name in response.removed] == ["gone"]


async def test_a_client_that_comes_back_early_is_not_told_to_delete_anything() -> None:
    async with running(shop=[cluster("a")]) as server:
        async with server.delta() as client:
            await client.subscribe(TypeUrl.CLUSTER, "*")
            await client.quiesce()
        held = client.held
    async with running() as unready, unready.delta(held=held) as client:
        await client.subscribe(TypeUrl.CLUSTER, "*")
        await eventually(lambda: unready.service.counters.requests == 1)
        unready.world.set(SHOP, cluster("a"))

        assert not any(response.removed for response in await client.quiesce())
        assert unready.service.counters.resource_bytes_sent == 0


@both
async def test_additions_come_in_order_and_routes_after_their_clusters(variant: str) -> None:
    needy = resource(TypeUrl.ROUTE, "r", "1", cluster("a").key)
    everything = [needy, listener("l"), endpoint("a"), cluster("a"), secret("s")]
    async with running() as server, server.client(variant) as client:
        await follow_everything(client)
        await eventually(lambda: server.service.counters.requests == 5)
        server.world.set(SHOP, *everything)
        order = [response.type_url for response in await client.quiesce() if response.contents]

    assert [TypeUrl(each).name for each in order] == [
        "SECRET",
        "CLUSTER",
        "ENDPOINT",
        "LISTENER",
        "ROUTE",
    ]


@both
async def test_the_connected_proxies_and_their_state_are_listed(variant: str) -> None:
    async with running(shop=[cluster("a")]) as server, server.client(variant) as client:
        await client.subscribe(TypeUrl.CLUSTER, "*")
        await client.quiesce()
        [status] = server.service.registry.streams()

        assert status.variant == variant
        assert status.proxy.waypoint == SHOP
        assert status.proxy.node_id == "envoy-1"
        assert status.peer.startswith("ipv4:127.0.0.1:")
        state = status.state()[cluster("a").key]
        assert (state.sent, state.acked) == (cluster("a").version,) * 2
