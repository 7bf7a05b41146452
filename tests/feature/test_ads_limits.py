"""Every bound of the service, at it and over it; and clients that do not behave."""

import asyncio
import random
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, suppress
from itertools import count
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from tests.support.adsclient import DeltaClient
from tests.support.adsserver import SHOP, Running, eventually, running
from tests.support.resources import cluster, route
from translators.wire.resource import TypeUrl
from xds_server.ads import AdsLimits
from xds_server.protocol import SessionLimits

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
SMALL_WINDOW = (
    ("grpc.http2.lookahead_bytes", 65_536),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.max_receive_message_length", -1),
)
both = pytest.mark.parametrize("variant", ["delta", "sotw"])


async def settled(server: Running, exits: AsyncExitStack, node_id: str) -> DeltaClient:
    """A stream that is served."""
    client = await exits.enter_async_context(server.delta(node_id=node_id))
    await client.subscribe(TypeUrl.CLUSTER, "*")
    await client.until(TypeUrl.CLUSTER, {"a": b"a=1"})
    return client


async def refused(server: Running, node_id: str) -> tuple[grpc.StatusCode, str]:
    """The status of a stream that is refused before it has said anything."""
    async with server.delta(node_id=node_id) as client:
        return await client.status()


async def is_served(server: Running, node_id: str) -> bool:
    with suppress(grpc.aio.AioRpcError):
        async with AsyncExitStack() as exits:
            await settled(server, exits, node_id)
            return True
    return False


async def test_streams_in_all() -> None:
    async with running(AdsLimits(streams=3), shop=[cluster("a")]) as server:
        async with AsyncExitStack() as exits:
            for number in range(3):
                await settled(server, exits, f"envoy-{number}")
            assert await refused(server, "envoy-3") == (EXHAUSTED, "too many streams")
        await eventually(lambda: server.service.counters.streams_open == 0)
        async with AsyncExitStack() as exits:
            await settled(server, exits, "envoy-3")


async def test_streams_of_one_identity() -> None:
    limits = AdsLimits(streams_per_identity=2)
    async with running(limits, shop=[cluster("a")]) as server, AsyncExitStack() as exits:
        for _ in range(2):
            await settled(server, exits, "envoy-1")

        async with server.delta(node_id="envoy-1") as one_too_many:
            await one_too_many.subscribe(TypeUrl.CLUSTER, "*")
            assert (await one_too_many.status())[0] is EXHAUSTED
        await settled(server, exits, "envoy-2")


async def test_new_streams_a_second() -> None:
    limits = AdsLimits(new_streams_per_second=0.001, new_streams_burst=4)
    async with running(limits, shop=[cluster("a")]) as server, AsyncExitStack() as exits:
        for number in range(4):
            await settled(server, exits, f"envoy-{number}")

        code, message = await refused(server, "envoy-4")
        assert code is EXHAUSTED
        assert "new streams" in message
        assert server.service.counters.streams_refused == 1


@both
async def test_the_size_of_a_message(variant: str) -> None:
    limits = AdsLimits(message_bytes=10_000, session=SessionLimits(name_length=100_000))
    async with running(limits, shop=[cluster("a")]) as server:
        async with server.client(variant) as client:
            await client.subscribe(TypeUrl.CLUSTER, *["x" * 900] * 10)
            await client.fence()
        async with server.client(variant) as client:
            await client.subscribe(TypeUrl.CLUSTER, *["x" * 900] * 12)
            code, _ = await client.status()

    assert code is EXHAUSTED


@both
async def test_names_in_a_request(variant: str) -> None:
    limits = AdsLimits(session=SessionLimits(names_per_request=10))
    async with running(limits, shop=[cluster("a")]) as server:
        async with server.client(variant) as client:
            await client.subscribe(TypeUrl.ENDPOINT, *map(str, range(10)))
            await client.fence()
        async with server.client(variant) as client:
            await client.subscribe(TypeUrl.ENDPOINT, *map(str, range(11)))
            code, _ = await client.status()

    assert code is grpc.StatusCode.INVALID_ARGUMENT


def connected(server: Running) -> list[str]:
    return [each.proxy.node_id for each in server.service.registry.streams()]


def closed_because(logs: list[MutableMapping[str, Any]]) -> list[str]:
    """The server's reasons; a client that is writing when a stream ends may not learn its own."""
    return [entry["reason"] for entry in logs if entry["event"] == "xds_stream_closed"]


async def repeat_until_closed(step: Callable[[], Awaitable[None]]) -> None:
    """Take a step again and again; which of them notices the end of the stream is chance."""
    with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
        for _ in range(100_000):
            await step()


async def test_requests_a_second_are_delayed_and_then_cut_off() -> None:
    limits = AdsLimits(requests_per_second=50, requests_burst=10, throttle_patience=0.5)
    async with (
        running(limits, shop=[cluster("a")]) as server,
        server.delta() as noisy,
        server.delta(node_id="envoy-2") as calm,
    ):
        await calm.subscribe(TypeUrl.CLUSTER, "*")
        await calm.quiesce()
        with capture_logs() as logs:
            await repeat_until_closed(lambda: noisy.subscribe(TypeUrl.ROUTE, "r"))
            await eventually(lambda: connected(server) == ["envoy-2"])
        assert closed_because(logs) == ["too many requests"]
        assert 10 + 50 * 0.4 < server.service.counters.requests < 10 + 50 * 5
        server.world.set(SHOP, cluster("a", "2"))
        await calm.until(TypeUrl.CLUSTER, {"a": b"a=2"})


async def test_rejections_a_second() -> None:
    limits = AdsLimits(nacks_per_second=20, nacks_burst=3, throttle_patience=0.3)
    contents = count(1)

    async def refuse_and_edit() -> None:
        await client.nack(await client.receive(), "no")
        server.world.set(SHOP, route("r", str(next(contents))))

    async with running(limits, shop=[route("r", "0")]) as server, server.delta() as client:
        await client.subscribe(TypeUrl.ROUTE, "r")
        with capture_logs() as logs:
            await repeat_until_closed(refuse_and_edit)
            await eventually(lambda: connected(server) == [])

        assert closed_because(logs) == ["too many rejections"]
        assert 3 < server.service.counters.rejections[TypeUrl.ROUTE] < 3 + 20 * 5


async def test_a_client_that_asks_nothing() -> None:
    limits = AdsLimits(first_request_timeout=0.1)
    async with running(limits) as server, server.delta() as client:
        code, _ = await client.status()

    assert code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert server.service.counters.streams_opened == 0


@both
async def test_garbage_kills_only_its_own_stream(variant: str) -> None:
    chance = random.Random(20)
    async with running(shop=[cluster("a")]) as server, server.client(variant) as good:
        await good.subscribe(TypeUrl.CLUSTER, "*")
        await good.quiesce()
        for size in (1, 2, 10, 1000):
            async with server.client(variant, node_id="garbler") as first:
                await first.send(b"\xff" + chance.randbytes(size))
                assert (await first.status())[0] is grpc.StatusCode.INVALID_ARGUMENT
            async with server.client(variant, node_id="garbler") as later:
                await later.subscribe(TypeUrl.CLUSTER, "*")
                await later.quiesce()
                await later.send(b"\xff" + chance.randbytes(size))
                assert (await later.status())[0] is grpc.StatusCode.INVALID_ARGUMENT
        server.world.set(SHOP, cluster("a", "2"))

        await good.until(TypeUrl.CLUSTER, {"a": b"a=2"})


async def test_a_client_that_does_not_read_is_dropped_and_blocks_nobody() -> None:
    limits = AdsLimits(write_timeout=0.5)
    async with (
        running(limits, shop=[cluster("a", "0" * 8_000_000)]) as server,
        server.delta(node_id="stuck", options=SMALL_WINDOW) as stuck,
        server.delta(node_id="busy") as busy,
    ):
        await stuck.subscribe(TypeUrl.CLUSTER, "*")
        await eventually(lambda: server.service.counters.streams_opened == 1)
        server.world.set(SHOP, cluster("a", "small"))
        await busy.subscribe(TypeUrl.CLUSTER, "*")
        await busy.until(TypeUrl.CLUSTER, {"a": b"a=small"})
        await eventually(lambda: server.service.counters.slow_clients_dropped == 1)
        await eventually(lambda: connected(server) == ["busy"])
        server.world.set(SHOP, cluster("a", "new"))
        await busy.until(TypeUrl.CLUSTER, {"a": b"a=new"})

        code, message = await stuck.status()
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "did not read" in message


async def test_a_slow_client_keeps_its_place_until_it_has_its_status() -> None:
    """Or else one that never reads could pile up calls without end."""
    limits = AdsLimits(write_timeout=0.2, streams=1)
    async with running(limits, shop=[cluster("a", "0" * 8_000_000)]) as server:
        async with server.delta(node_id="stuck", options=SMALL_WINDOW) as stuck:
            await stuck.subscribe(TypeUrl.CLUSTER, "*")
            await eventually(lambda: server.service.counters.slow_clients_dropped == 1)
            assert (await refused(server, "envoy-2"))[0] is EXHAUSTED
            await stuck.status()
        server.world.set(SHOP, cluster("a"))
        async with asyncio.timeout(10):
            while not await is_served(server, "envoy-2"):
                pass


def test_the_defaults_are_those_that_are_documented() -> None:
    limits = AdsLimits()

    assert (limits.streams, limits.streams_per_identity) == (5_000, 16)
    assert (limits.requests_per_second, limits.requests_burst) == (100, 500)
    assert limits.write_timeout == 20
    assert limits.message_bytes == 4 * 1024 * 1024
