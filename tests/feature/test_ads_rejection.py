"""A NACK is data: the bad content is withheld, the last good is served, and it heals."""

import pytest
from structlog.testing import capture_logs

from tests.support.adsclient import AdsClient, Received
from tests.support.adsserver import SHOP, eventually, running
from tests.support.resources import cluster, listener, route
from translators.wire.resource import TypeUrl

both = pytest.mark.parametrize("variant", ["delta", "sotw"])


async def refuse(client: AdsClient, name: str, bad: bytes, message: str = "no good") -> Received:
    """Acknowledge what comes until the bad content comes, and refuse that."""
    while True:
        response = await client.receive()
        if response.contents.get(name) == bad:
            await client.nack(response, message)
            return response
        await client.ack(response)


@both
async def test_a_new_client_gets_the_last_good_content(variant: str) -> None:
    async with running(shop=[route("r", "good")]) as server, server.client(variant) as old:
        await old.subscribe(TypeUrl.ROUTE, "r")
        await old.until(TypeUrl.ROUTE, {"r": b"r=good"})
        server.world.set(SHOP, route("r", "bad"))
        await refuse(old, "r", b"r=bad")
        await old.quiesce()
        async with server.client(variant, node_id="envoy-2") as new:
            await new.subscribe(TypeUrl.ROUTE, "r")
            came = await new.quiesce()

        assert [response.contents for response in came] == [{"r": b"r=good"}]
        [rejection] = server.world.store.rejections(SHOP)
        assert rejection.message == "no good"
        assert rejection.origins == route("r").origins


@both
async def test_it_heals_when_the_content_changes(variant: str) -> None:
    async with running(shop=[route("r", "good")]) as server, server.client(variant) as client:
        await client.subscribe(TypeUrl.ROUTE, "r")
        await client.until(TypeUrl.ROUTE, {"r": b"r=good"})
        server.world.set(SHOP, route("r", "bad"))
        await refuse(client, "r", b"r=bad")
        await client.quiesce()
        server.world.set(SHOP, route("r", "better"))
        await client.until(TypeUrl.ROUTE, {"r": b"r=better"})

        assert server.world.store.rejections(SHOP) == ()


@both
async def test_refused_content_is_not_sent_again_and_again(variant: str) -> None:
    async with running(shop=[route("r", "bad")]) as server, server.client(variant) as client:
        await client.subscribe(TypeUrl.ROUTE, "r")
        await refuse(client, "r", b"r=bad")
        came = [response.contents for response in await client.quiesce()]
        server.world.set(SHOP, route("r", "bad"), route("other"))
        came += [response.contents for response in await client.quiesce()]

        assert {"r": b"r=bad"} not in came
        assert server.service.counters.rejections[TypeUrl.ROUTE] == 1


@both
async def test_good_resources_get_through_beside_a_bad_one(variant: str) -> None:
    shop = [cluster("a"), cluster("bad", "x"), cluster("b")]
    words = "Error adding/updating cluster(s) bad: it is bad"
    async with running(shop=shop) as server, server.client(variant) as client:
        await client.subscribe(TypeUrl.CLUSTER, "*")
        await refuse(client, "bad", b"bad=x", words)
        await client.until(TypeUrl.CLUSTER, {"a": b"a=1", "b": b"b=1"})
        server.world.set(SHOP, *shop, cluster("c"))
        await client.until(TypeUrl.CLUSTER, {"a": b"a=1", "b": b"b=1", "c": b"c=1"})

        assert [each.key.name for each in server.world.store.rejections(SHOP)] == ["bad"]


async def test_what_one_envoy_refused_takes_nothing_down_at_the_next() -> None:
    contents = [route("a", "good"), route("b", "good"), route("r", "bad")]
    async with running(shop=contents) as server, server.delta() as old:
        await old.subscribe(TypeUrl.ROUTE, "a", "b", "r")
        together = await old.receive()
        assert together.contents.keys() == {"a", "b", "r"}
        await old.nack(together, "something is wrong")
        for _ in range(3):
            alone = await old.receive()
            assert len(alone.contents) == 1
            await (old.nack(alone, "no good") if "r" in alone.contents else old.ack(alone))
        await eventually(lambda: bool(server.world.store.rejections(SHOP)))
        async with server.delta(node_id="envoy-2") as new:
            await new.subscribe(TypeUrl.ROUTE, "a", "b", "r")
            first, second = await new.receive(), await new.receive()

    assert first.contents.keys() == {"a", "b"}
    assert second.contents.keys() == {"r"}


async def test_a_bad_listener_after_a_restart_deletes_nothing() -> None:
    """A release whose bytes Envoy refuses must leave Envoys with what they hold."""
    async with running(shop=[listener("l", "old")]) as server, server.delta() as client:
        await client.subscribe(TypeUrl.LISTENER, "*")
        await client.quiesce()
        held = client.held
    async with running(shop=[listener("l", "new")]) as server, server.delta(held=held) as client:
        await client.subscribe(TypeUrl.LISTENER, "*")
        await refuse(client, "l", b"l=new", "Error adding/updating listener(s) l: it is bad")

        assert not any(response.removed for response in await client.quiesce())


async def test_what_a_returning_client_holds_is_the_last_good_of_a_restarted_server() -> None:
    async with running(shop=[route("r", "good")]) as server, server.delta() as client:
        await client.subscribe(TypeUrl.ROUTE, "r")
        await client.quiesce()
        held = client.held
    async with running(shop=[route("r", "good")]) as server, server.delta(held=held) as old:
        await old.subscribe(TypeUrl.ROUTE, "r")
        await old.quiesce()
        server.world.set(SHOP, route("r", "bad"))
        await refuse(old, "r", b"r=bad")
        await old.quiesce()
        async with server.delta(node_id="envoy-2") as new:
            await new.subscribe(TypeUrl.ROUTE, "r")
            await new.quiesce()

    assert new.contents[TypeUrl.ROUTE] == {"r": b"r=good"}


@both
async def test_one_broken_envoy_does_not_take_content_from_the_others(variant: str) -> None:
    async with (
        running(shop=[route("r", "1")]) as server,
        server.client(variant) as sound,
        server.client(variant, node_id="envoy-2") as broken,
    ):
        for client in (sound, broken):
            await client.subscribe(TypeUrl.ROUTE, "r")
            await client.quiesce()
        server.world.set(SHOP, route("r", "2"))
        await sound.until(TypeUrl.ROUTE, {"r": b"r=2"})
        await sound.fence()
        await refuse(broken, "r", b"r=2")
        await broken.fence()

        assert await sound.quiesce() == []
        assert server.world.store.rejections(SHOP) == ()


@both
async def test_a_refusal_is_logged_with_words_that_cannot_forge_a_log(variant: str) -> None:
    words = "bad\n\x1b[31mforged" + "x" * 10_000
    async with (
        running(shop=[route("r", "secret-body")]) as server,
        server.client(variant) as client,
    ):
        with capture_logs() as logs:
            await client.subscribe(TypeUrl.ROUTE, "r")
            await refuse(client, "r", b"r=secret-body", words)
            await eventually(lambda: any(entry["event"] == "xds_nack" for entry in logs))

    [entry] = [entry for entry in logs if entry["event"] == "xds_nack"]
    assert entry["waypoint"] == "shop/waypoint"
    assert entry["node_id"] == "envoy-1"
    assert entry["resources"] == ["r"]
    assert entry["message"].startswith("bad\\n\\x1b[31mforged")
    assert len(entry["message"]) < 1000
    assert "secret-body" not in str(entry)
