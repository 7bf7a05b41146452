"""The aggregated discovery service: who may open a stream, and what becomes of it."""

import asyncio
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import Any

import grpc
import structlog

from xds_server.ads.admission import Admission
from xds_server.ads.closing import Closing
from xds_server.ads.counters import AdsCounters
from xds_server.ads.entrance import Entrance
from xds_server.ads.limits import AdsLimits, TokenBucket
from xds_server.ads.registry import StreamRegistry, StreamStatus
from xds_server.ads.stream import Context, Stream, legible, read_request
from xds_server.ads.turns import Turns
from xds_server.ads.variant import DELTA, SOTW, Request, Variant
from xds_server.identity.peer import Authenticator, Peer
from xds_server.snapshots import SnapshotStore

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"

log = structlog.get_logger(__name__)


class AdsService:
    """Serves the two ADS methods and no other; gRPC answers UNIMPLEMENTED to the rest.

    A stream is bound to one waypoint by the authenticator at its first request. A later request
    that names another node changes nothing.
    """

    def __init__(
        self,
        store: SnapshotStore,
        authenticator: Authenticator,
        limits: AdsLimits | None = None,
    ) -> None:
        self.limits = limits or AdsLimits()
        self.counters = AdsCounters()
        self.registry = StreamRegistry()
        self._store = store
        self.entrance = Entrance(authenticator, self.limits, self.counters)
        self._admission = Admission(self.limits)
        self._logged_refusals = TokenBucket(
            self.limits.logged_refusals_per_second, self.limits.logged_refusals_burst
        )
        self._unlogged_refusals = 0
        self._turns = Turns()
        self._streams: dict[int, Stream[Any]] = {}
        self._draining = False

    def handler(self) -> grpc.GenericRpcHandler:
        """The methods, for a grpc.aio server. Bytes go in and out as they are."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "DeltaAggregatedResources": grpc.stream_stream_rpc_method_handler(self._delta),
                "StreamAggregatedResources": grpc.stream_stream_rpc_method_handler(self._sotw),
            },
        )

    async def drain(self, spread: float = 0.0) -> None:
        """End all streams with UNAVAILABLE, evenly over ``spread`` seconds; refuse new ones.

        Proxies keep their configuration and go on to another replica.
        """
        self._draining = True
        streams = list(self._streams.values())
        for number, stream in enumerate(streams):
            if number and spread:
                await asyncio.sleep(spread / len(streams))
            stream.stop(_shutting_down())

    async def _delta(self, _requests: object, context: Context) -> None:
        await self._serve(context, DELTA)

    async def _sotw(self, _requests: object, context: Context) -> None:
        await self._serve(context, SOTW)

    async def _serve(self, context: Context, variant: Variant[Request]) -> None:
        """Answer one call. Its places are held until the client has its status.

        A client that reads nothing can hold up its own status only, and keeps its places filled.
        """
        with ExitStack() as places:
            try:
                closing = await self._converse(context, variant, places)
            except Closing as refusal:
                closing = refusal
            except Exception:
                log.exception("xds_stream_failed", peer=context.peer())
                closing = Closing(grpc.StatusCode.INTERNAL, "internal error")
            # Not above: it ends with an exception, which is gRPC's own business.
            await _end(context, closing)

    async def _converse(
        self, context: Context, variant: Variant[Request], places: ExitStack
    ) -> Closing:
        peer, came = _peer(context), asyncio.get_running_loop().time()
        try:
            self.entrance.check(peer)
            places.enter_context(self._admission.enter(came))
            # Before anything that was sent is read.
            caller = await self.entrance.identify(peer)
            first = await self._first_request(context, variant)
            await self._turns.enter(came)
            guest = self.entrance.admit(peer, caller, first.node)
            places.enter_context(self._admission.identify(guest.proxy.identity))
            if self._draining:
                raise _shutting_down()
        except Closing as closing:
            self._note_refusal(peer, closing)
            raise
        # At once, because gRPC cannot end a call whose first write is still under way.
        await context.send_initial_metadata(())
        stream = Stream(
            context, variant, guest.proxy, self._store, self.limits, self.counters, self._turns
        )
        guest.stop = stream.stop
        now = datetime.now(UTC)
        status = StreamStatus(guest.proxy, peer.address, variant.name, now, stream.state)
        with self.entrance.watching(guest):
            return await self._run(stream, status, first)

    async def _first_request(self, context: Context, variant: Variant[Request]) -> Request:
        try:
            async with asyncio.timeout(self.limits.first_request_timeout):
                request = await read_request(context, variant)
        except TimeoutError:
            raise Closing(grpc.StatusCode.DEADLINE_EXCEEDED, "no request came") from None
        if request is None:
            raise Closing(grpc.StatusCode.OK, "the client went away")
        return request

    def _note_refusal(self, peer: Peer, closing: Closing) -> None:
        """Anybody can be refused as often as they like: not each time is worth a line."""
        self.counters.streams_refused += 1
        if self._logged_refusals.take(asyncio.get_running_loop().time()):
            self._unlogged_refusals += 1
            return
        log.warning(
            "xds_stream_refused",
            peer=peer.address,
            code=closing.code.name,
            reason=legible(closing.message),
            unlogged=self._unlogged_refusals,
        )
        self._unlogged_refusals = 0

    async def _run(self, stream: Stream[Request], status: StreamStatus, first: Request) -> Closing:
        """Count, list and log the stream as long as it lasts."""
        bound = log.bind(
            waypoint=str(status.proxy.waypoint),
            node_id=legible(status.proxy.node_id),
            variant=status.variant,
        )
        self.counters.streams_opened += 1
        self.counters.streams_open += 1
        self._streams[id(stream)] = stream
        bound.info("xds_stream_opened", peer=status.peer, bind=status.proxy.bind)
        reason = "cancelled"
        try:
            with self.registry.listing(status):
                closing = await stream.run(first)
            reason = closing.message or "finished by the client"
            return closing
        finally:
            del self._streams[id(stream)]
            self.counters.streams_open -= 1
            bound.info("xds_stream_closed", reason=reason)


async def _end(context: Context, closing: Closing) -> None:
    """Give the call its status; returns when the client has it or has gone."""
    if closing.code is not grpc.StatusCode.OK:
        with suppress(grpc.aio.InternalError):
            await context.abort(closing.code, closing.message)


def _shutting_down() -> Closing:
    return Closing(grpc.StatusCode.UNAVAILABLE, "the server is shutting down")


def _peer(context: Context) -> Peer:
    metadata = {
        key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)
    }
    proof = {key: tuple(values) for key, values in context.auth_context().items()}
    return Peer(context.peer(), proof, metadata)
