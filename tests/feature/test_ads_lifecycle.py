"""Start and stop of the server, and streams that end in all the ways they can."""

import asyncio
import gc
import time

import grpc
import pytest

from tests.support.adsserver import SHOP, World, eventually, running
from tests.support.resources import cluster
from translators.wire.node import Node
from translators.wire.resource import TypeUrl
from xds_server.ads import AdsServer, AdsService
from xds_server.ads.stream import Stream
from xds_server.identity.peer import Caller, InsecureAddress, LoopbackAuthenticator, Proxy

both = pytest.mark.parametrize("variant", ["delta", "sotw"])


@both
async def test_stop_tells_clients_to_go_elsewhere_and_does_not_wait_for_them(variant: str) -> None:
    async with running(shop=[cluster("a")]) as server, server.client(variant) as client:
        await client.subscribe(TypeUrl.CLUSTER, "*")
        await client.quiesce()
        began = time.monotonic()
        await server.server.stop(grace=30)
        took = time.monotonic() - began
        code, message = await client.status()

    assert code is grpc.StatusCode.UNAVAILABLE
    assert message == "the server is shutting down"
    assert took < 10


async def test_stop_spreads_the_streams() -> None:
    async with (
        running(shop=[cluster("a")]) as server,
        server.delta(node_id="1") as first,
        server.delta(node_id="2") as second,
    ):
        for client in (first, second):
            await client.subscribe(TypeUrl.CLUSTER, "*")
            await client.quiesce()
        stopping = asyncio.create_task(server.server.stop(spread=1))
        await first.status()

        assert not stopping.done()
        assert server.service.counters.streams_open == 1
        await second.status()
        await stopping


async def test_a_draining_server_takes_no_new_stream() -> None:
    async with running(shop=[cluster("a")]) as server, server.delta() as client:
        await server.service.drain()
        await client.subscribe(TypeUrl.CLUSTER, "*")
        code, _ = await client.status()

    assert code is grpc.StatusCode.UNAVAILABLE
    assert server.service.counters.streams_opened == 0


@both
async def test_a_client_that_finishes_is_answered_ok(variant: str) -> None:
    async with running(shop=[cluster("a")]) as server, server.client(variant) as client:
        await client.subscribe(TypeUrl.CLUSTER, "*")
        await client.quiesce()
        await client.call.done_writing()
        code, _ = await client.status()

        assert code is grpc.StatusCode.OK
        assert server.service.counters.streams_open == 0


@both
async def test_a_client_that_vanishes_leaves_nothing_behind(variant: str) -> None:
    async with running(shop=[cluster("a")]) as server:
        for _ in range(20):
            async with server.client(variant) as client:
                await client.subscribe(TypeUrl.CLUSTER, "*")
                await client.receive()
        await eventually(lambda: server.service.counters.streams_open == 0)

        assert server.world.store.attached() == ()
        assert server.service.counters.streams_opened == 20


async def test_a_failure_in_our_own_code_ends_one_stream_and_tells_no_secrets() -> None:
    class Broken(LoopbackAuthenticator):
        def admit(self, caller: Caller, node: Node) -> Proxy:
            if node.id == "trigger":
                raise RuntimeError("internal detail")
            return super().admit(caller, node)

    world = World()
    world.set(SHOP, cluster("a"))
    async with running(world=world, authenticator=Broken()) as server, server.delta() as good:
        await good.subscribe(TypeUrl.CLUSTER, "*")
        async with server.delta(node_id="trigger") as client:
            await client.subscribe(TypeUrl.CLUSTER, "*")
            code, message = await client.status()

        assert (code, message) == (grpc.StatusCode.INTERNAL, "internal error")
        await good.until(TypeUrl.CLUSTER, {"a": b"a=1"})


async def test_plaintext_is_refused_on_an_address_that_others_can_reach() -> None:
    server = AdsServer(AdsService(World().store, LoopbackAuthenticator()))
    for address in ("0.0.0.0:0", "[::]:0", "localhost:0"):
        with pytest.raises(InsecureAddress):
            server.listen_plaintext(address)


async def test_a_second_server_on_the_same_port_fails_to_start() -> None:
    async with running() as server:
        second = AdsServer(AdsService(World().store, LoopbackAuthenticator()))
        with pytest.raises(RuntimeError):
            second.listen_plaintext(server.address)


async def test_a_unix_socket_serves(tmp_path) -> None:
    address = f"unix:{tmp_path}/xds.sock"
    async with running(shop=[cluster("a")], address=address) as server, server.delta() as client:
        await client.subscribe(TypeUrl.CLUSTER, "*")
        await client.until(TypeUrl.CLUSTER, {"a": b"a=1"})


@both
@pytest.mark.parametrize("end", ["leave", "stop", "violate"])
async def test_what_a_stream_held_is_freed_without_the_garbage_collector(
    variant: str, end: str
) -> None:
    async with running(shop=[cluster("a")]) as server:
        gc.collect()
        gc.disable()
        try:
            async with server.client(variant) as client:
                await client.subscribe(TypeUrl.CLUSTER, "*")
                await client.quiesce()
                assert streams_in_memory() == 1
                if end == "stop":
                    await server.service.drain()
                    await client.status()
                elif end == "violate":
                    await client.subscribe(TypeUrl.ROUTE, "x" * 2000)
                    await client.status()
            await eventually(lambda: streams_in_memory() == 0)
        finally:
            gc.enable()


def streams_in_memory() -> int:
    """How many streams there are, open or left over."""
    return sum(isinstance(each, Stream) for each in gc.get_objects())
