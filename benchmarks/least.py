"""The least that could serve: grpc.aio and finished bytes, without knowing what is in them.

Ours is measured beside it, with the same clients. Each write is awaited, all that comes is read.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc

from benchmarks.envoys import Delta
from translators.wire.discovery import delta_response, read_delta_request
from translators.wire.node import parse_node
from translators.wire.resource import Resource, TypeUrl
from translators.wire.snapshot import Snapshot
from xds_server.ads.service import SERVICE

_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.server.max_pending_requests", 10_000),
    ("grpc.server.max_pending_requests_hard_limit", 10_000),
)
_ALL_CLUSTERS = Delta().request(TypeUrl.CLUSTER, ("*",), {}, False, b"", b"", ())


@asynccontextmanager
async def listening(call: Callable[[object, Any], Awaitable[None]]) -> AsyncIterator[str]:
    """Serve incremental streams by ``call`` on a free port of loopback; the address."""
    server = grpc.aio.server(options=_OPTIONS)
    method: Any = grpc.stream_stream_rpc_method_handler(call)
    handlers = {"DeltaAggregatedResources": method}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(0.5)


class Broadcast:
    """One resource for whoever has called, whatever they ask for."""

    def __init__(self, resource: Resource) -> None:
        self._latest = _response([resource])
        self._wakers: set[asyncio.Event] = set()

    def push(self, resource: Resource) -> None:
        """Write it to all."""
        self._latest = _response([resource])
        for waker in self._wakers:
            waker.set()

    async def call(self, _: object, context: Any) -> None:
        """One stream."""
        await context.read()
        waker = asyncio.Event()
        self._wakers.add(waker)
        reading = asyncio.create_task(self._read(context))
        try:
            while True:
                await context.write(self._latest)
                await waker.wait()
                waker.clear()
        finally:
            self._wakers.discard(waker)
            reading.cancel()

    async def _read(self, context: Any) -> None:
        while await context.read() is not grpc.aio.EOF:
            pass


class Answers:
    """Answers each request with all that it asks for; what a request means is looked into once.

    ``snapshots`` are what the Envoys of each namespace get. Clients acknowledge, which is answered
    with nothing, and ask in the same words, so that a response is made for the first of them.
    """

    def __init__(self, snapshots: Mapping[str, Snapshot]) -> None:
        self._snapshots = snapshots
        self._finished: dict[tuple[str, bytes], bytes | None] = {}
        self._latest: Mapping[str, bytes] = {}
        self._wakers: set[asyncio.Event] = set()

    def push(self, responses: Mapping[str, bytes]) -> None:
        """Write this to all streams of each namespace, which should have asked for all by now."""
        self._latest = responses
        for waker in self._wakers:
            waker.set()

    async def call(self, _: object, context: Any) -> None:
        """One stream."""
        data, waker = await context.read(), asyncio.Event()
        namespace = str(parse_node(read_delta_request(data).node or b"").metadata["NAMESPACE"])
        await context.write(self._answer(namespace, _ALL_CLUSTERS))
        self._wakers.add(waker)
        pushing = asyncio.create_task(self._push(namespace, context, waker))
        try:
            while (data := await context.read()) is not grpc.aio.EOF:
                if answer := self._answer(namespace, data):
                    await context.write(answer)
        finally:
            self._wakers.discard(waker)
            pushing.cancel()

    async def _push(self, namespace: str, context: Any, waker: asyncio.Event) -> None:
        while await waker.wait():
            waker.clear()
            await context.write(self._latest[namespace])

    def _answer(self, namespace: str, data: bytes) -> bytes | None:
        key = namespace, data
        if key not in self._finished:
            self._finished[key] = self._make(namespace, data)
        return self._finished[key]

    def _make(self, namespace: str, data: bytes) -> bytes | None:
        request = read_delta_request(data)
        found = self._snapshots[namespace].of_type(TypeUrl(request.type_url))
        if "*" in request.subscribe:
            return _response(found.values())
        wanted = [found[name] for name in request.subscribe if name in found]
        return _response(wanted) if wanted else None


def _response(resources: Iterable[Resource]) -> bytes:
    """Finished bytes; all have the same nonce, so that one type is always acknowledged alike."""
    found = list(resources)
    return delta_response(found[0].key.type_url, "1", found)
