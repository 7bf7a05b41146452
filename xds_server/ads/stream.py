"""One ADS stream: a reader that feeds the session and a writer that sends what it has to say.

The writer awaits each write, which ends only when flow control lets the message out. A slow client
therefore costs one message, and gets the latest state when it is ready for more.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeAlias

import grpc
import structlog

from translators.wire.discovery import DeltaRequest, MalformedRequest, abridged
from translators.wire.resource import ResourceKey, TypeUrl
from translators.wire.snapshot import Snapshot
from xds_server.ads.closing import Closing
from xds_server.ads.counters import AdsCounters
from xds_server.ads.limits import AdsLimits, TokenBucket
from xds_server.ads.throttle import Throttle
from xds_server.ads.turns import Turns
from xds_server.ads.variant import Request, Variant
from xds_server.identity.peer import Proxy
from xds_server.protocol import (
    Acknowledged,
    ProtocolViolation,
    Rejected,
    ResourceState,
    Response,
)
from xds_server.snapshots import Feed, ProxyKey, SnapshotStore

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_KNOWN_TYPES = frozenset(TypeUrl)
_LOGGED_NAMES = 5
_LOGGED_CHARACTERS = 500

log = structlog.get_logger(__name__)


class Stream(Generic[Request]):
    """The conversation with one proxy, from its first request on."""

    def __init__(
        self,
        context: Context,
        variant: Variant[Request],
        proxy: Proxy,
        store: SnapshotStore,
        limits: AdsLimits,
        counters: AdsCounters,
        turns: Turns,
    ) -> None:
        self._context = context
        self._variant = variant
        self._session = variant.session(limits.session)
        self._proxy = proxy
        self._follower = ProxyKey(proxy.waypoint, proxy.bind, proxy.place)
        self._key = self._follower
        self._store = store
        self._write_timeout = limits.write_timeout
        self._counters = counters
        self._turns = turns
        self._came = asyncio.get_running_loop().time()
        self._wake = asyncio.Event()
        self._writing_since: float | None = None
        self._stopping: Closing | None = None
        self._reported: dict[TypeUrl, Mapping[str, str]] = {}
        self._credited: set[str] = set()
        patience = limits.throttle_patience
        self._requests = Throttle(
            "requests", TokenBucket(limits.requests_per_second, limits.requests_burst), patience
        )
        self._rejections = Throttle(
            "rejections", TokenBucket(limits.nacks_per_second, limits.nacks_burst), patience
        )

    async def run(self, first: Request) -> Closing:
        """Converse until either side ends it; says how it ended.

        Nothing is raised through here, and what was raised is not handed on: an exception knows
        the frames that it went through, and what knows it in turn would keep all that the stream
        holds in memory until a full collection.
        """
        with self._store.attach(self._follower, self._wake.set) as feed:
            tasks = (
                asyncio.create_task(self._read_requests(first)),
                asyncio.create_task(self._write_responses(feed)),
                asyncio.create_task(self._watch_writes()),
            )
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return _ended(tasks)

    def stop(self, closing: Closing) -> None:
        """End the conversation after the response that is being written."""
        self._stopping = closing
        self._wake.set()

    def state(self) -> Mapping[ResourceKey, ResourceState]:
        """How far each resource has come."""
        return self._session.state()

    async def _read_requests(self, first: Request) -> None:
        request: Request | None = first
        while request is not None:
            await self._turns.enter(self._came)
            await self._take_in(request)
            await self._requests.admit()
            request = await read_request(self._context, self._variant)
        raise Closing(grpc.StatusCode.OK)

    async def _take_in(self, request: Request) -> None:
        self._counters.requests += 1
        try:
            verdict = self._session.receive(request)
        except ProtocolViolation as violation:
            raise Closing(grpc.StatusCode[violation.code], violation.message) from None
        self._note_reported(request)
        if self._reported or self._session.may_respond():
            self._wake.set()
        match verdict:
            case Acknowledged():
                self._store.acknowledge(self._key, verdict.resources)
            case Rejected():
                self._note_rejection(verdict, request.nonce)
                self._store.reject(self._key, verdict)
                await self._rejections.admit()

    def _note_reported(self, request: Request) -> None:
        """Keep what a client brings from another stream, where it has accepted it.

        Once a type, so that what waits for the first snapshot is bounded.
        """
        if not isinstance(request, DeltaRequest) or not request.initial_versions:
            return
        if request.type_url in _KNOWN_TYPES - self._credited:
            self._credited.add(request.type_url)
            self._reported[TypeUrl(request.type_url)] = request.initial_versions

    def _credit_reported(self, snapshot: Snapshot) -> None:
        """So a restarted server knows the last good content, without anything being sent."""
        for type_url, versions in self._reported.items():
            available = snapshot.of_type(type_url)
            held = [
                resource
                for name, version in versions.items()
                if (resource := available.get(name)) is not None and resource.version == version
            ]
            self._store.acknowledge(self._key, held)
        self._reported.clear()

    def _note_rejection(self, rejected: Rejected, nonce: str) -> None:
        self._counters.count_rejection(rejected.type_url)
        suspects = rejected.culprits or rejected.resources
        log.warning(
            "xds_nack",
            waypoint=str(self._proxy.waypoint),
            node_id=legible(self._proxy.node_id),
            type_url=legible(rejected.type_url),
            nonce=legible(nonce),
            resources=[legible(each.key.name) for each in suspects[:_LOGGED_NAMES]],
            suspects=len(suspects),
            message=legible(rejected.message),
        )

    def _catch_up(self, feed: Feed) -> None:
        """Give the session the latest snapshot. Until there is one it holds all answers."""
        self._key = feed.key
        update = feed.take()
        if update is not None:
            self._session.suspect(self._store.suspects(feed.key))
            self._session.update(update.snapshot, update.changed)
        if self._reported and feed.snapshot is not None:
            self._credit_reported(feed.snapshot)

    async def _write_responses(self, feed: Feed) -> None:
        while True:
            await self._turns.enter(self._came)
            if self._stopping is not None:
                raise self._stopping.afresh()
            self._catch_up(feed)
            response = self._session.next_response()
            if response is None:
                await self._wake.wait()
                self._wake.clear()
            else:
                await self._write(response)

    async def _write(self, response: Response) -> None:
        self._writing_since = asyncio.get_running_loop().time()
        try:
            await self._context.write(response.body)
        except (grpc.aio.BaseError, asyncio.InvalidStateError):
            raise Closing(grpc.StatusCode.OK, "the client went away") from None
        self._writing_since = None
        self._counters.count_response(response)

    async def _watch_writes(self) -> None:
        """End the stream when one write takes too long; cheaper than a timer for each."""
        clock = asyncio.get_running_loop().time
        while True:
            now = clock()
            since = now if self._writing_since is None else self._writing_since
            if now - since >= self._write_timeout:
                self._counters.slow_clients_dropped += 1
                raise Closing(
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                    f"the client did not read for {self._write_timeout:g} s",
                )
            await asyncio.sleep(since + self._write_timeout - now)


async def read_request(context: Context, variant: Variant[Request]) -> Request | None:
    """The next request, None after the last one. Raises Closing if it cannot be read."""
    try:
        data = await context.read()
    except (grpc.aio.BaseError, asyncio.InvalidStateError):
        return None
    if data is grpc.aio.EOF:
        return None
    try:
        return variant.read(data)
    except MalformedRequest as error:
        raise Closing(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from None


def _ended(tasks: Iterable[asyncio.Task[None]]) -> Closing:
    """How the first of these that failed did so. Raises what is no Closing."""
    closing = Closing(grpc.StatusCode.OK)
    for task in tasks:
        if task.cancelled():
            continue
        match task.exception():
            case Closing() as found:
                closing = found.afresh()
            case BaseException() as failure:
                raise failure
    return closing


def legible(text: str) -> str:
    """Text of a client, cut and escaped, so that it cannot forge or flood a log."""
    return abridged(text, _LOGGED_CHARACTERS).encode("unicode_escape").decode("ascii")
