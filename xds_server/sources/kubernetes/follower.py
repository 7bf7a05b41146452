"""Following one kind: making the requests that the reflector wants, passing on what they bring."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

import msgspec
import structlog

from translators.resources import parse
from translators.world import Change
from xds_server.sources.kubernetes.backoff import Pace
from xds_server.sources.kubernetes.decoding import (
    Event,
    Lines,
    Status,
    Unreadable,
    read_bookmark,
    read_event,
    read_page,
    read_status,
)
from xds_server.sources.kubernetes.kinds import Resource
from xds_server.sources.kubernetes.questions import query_of
from xds_server.sources.kubernetes.reflector import (
    Breakdown,
    Closing,
    Health,
    Outcome,
    PagedList,
    PageRead,
    Refusal,
    Request,
    Silence,
    State,
    Step,
    StreamedList,
    Watch,
    WatchEnd,
    decide,
    followed,
    start,
)
from xds_server.sources.kubernetes.replica import Read, Replica
from xds_server.sources.kubernetes.transport import (
    Response,
    SilenceError,
    Transport,
    TransportError,
)
from xds_server.sources.source import Sink, SourceProblem

_log = structlog.get_logger(__name__)

_SLICE_S = 0.005  # that one turn of the event loop may be kept busy


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, in seconds, to wait for what.

    ``answer``: for the beginning of an answer, and between the parts of a list. ``listing``: for
    all of a streamed list. ``silence``: for anything on a watch; servers send a bookmark about
    every minute. ``watch``: how long a watch lasts, from and to, so that not all end at once.
    ``alive``: a watch that lasted so long shows that the server works.
    """

    answer: float = 30.0
    listing: float = 120.0
    silence: float = 180.0
    watch: tuple[int, int] = (240, 480)
    alive: float = 10.0


class _Refused(Exception):
    """An ERROR event: the server ends a watch."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


class Follower:
    """Keeps the sink up to date with one kind.

    ``ready`` is called once: when all objects of the kind have been given, or when the server
    says that it does not know the kind.
    """

    def __init__(
        self,
        resource: Resource,
        transport: Transport,
        pace: Pace,
        patience: Patience,
        sink: Sink,
        ready: Callable[[], None],
        meaning: Read = parse,
    ) -> None:
        self.resource = resource
        self._transport = transport
        self._pace = pace
        self._patience = patience
        self._sink = sink
        self._ready = ready
        self._is_ready = False
        self._replica = Replica(resource, meaning)
        self._state = start(resource.versions).state
        self._heard_at: float | None = None
        # Of the request under way:
        self._session = 0
        self._revision = ""
        self._is_listing = False
        self._events = 0

    @property
    def health(self) -> Health:
        """How well the kind is followed at present."""
        return self._state.health

    def age(self) -> float | None:
        """Seconds since the server last confirmed what we have; None before the first list."""
        return None if self._heard_at is None else time.monotonic() - self._heard_at

    def problems(self) -> list[SourceProblem]:
        """What is wrong with the kind as a whole, then with its objects."""
        name, reason = self.resource.name, self._state.reason
        match self._state.health:
            case Health.ABSENT:
                what, fix = "is not installed", "Install its CRD if you need it."
            case Health.FORBIDDEN:
                what = f"may not be read: {reason}"
                fix = f"Grant our service account list and watch on {name}."
            case Health.FAILING:
                what = f"can't be followed: {reason}"
                fix = "What was last seen of it stays in use."
            case Health.STARTING | Health.CURRENT:
                return self._replica.problems()
        return [SourceProblem(name, 0, None, "", what, fix), *self._replica.problems()]

    async def run(self) -> None:
        """Follow until cancelled."""
        step = start(self.resource.versions)
        while True:
            self._enter(step.state)
            await self._wait(step)
            outcome = await self._ask(step.request)
            step = decide(self._state, step.request, outcome, random.random())  # noqa: S311

    def _enter(self, state: State) -> None:
        before, self._state = self._state, state
        if (state.health, state.reason) != (before.health, before.reason):
            _log_health(self.resource, before, state)
        if state.is_gone:
            self._pass_on(self._replica.clear())
        if state.health in (Health.CURRENT, Health.ABSENT) and not self._is_ready:
            self._is_ready = True
            self._ready()

    async def _wait(self, step: Step) -> None:
        if step.renew:
            await self._transport.log_out(self._session)
        if step.state.health is not Health.FAILING or not step.wait:
            await asyncio.sleep(step.wait)
        elif await self._recovery(step.wait):
            return
        elif self._transport.is_down or step.state.failures > 1:
            await self._recovery(self._pace.reserve(time.monotonic()))

    async def _recovery(self, seconds: float) -> bool:
        """Wait until the server answers again, but not for longer; whether it did."""
        is_back = await self._transport.recovery(seconds)
        if is_back:
            self._pace.clear()
        return is_back

    async def _ask(self, request: Request) -> Outcome:
        self._session = self._transport.session
        match request:
            case PagedList():
                return await self._read_page(request)
            case StreamedList() | Watch():
                return await self._watch(request)
            case _:
                assert_never(request)

    async def _read_page(self, request: PagedList) -> Outcome:
        if not request.token:
            self._replica.begin_list()
        path = self.resource.path(request.version)
        query = query_of(self.resource, request, 0)
        within = self._patience.answer
        try:
            async with self._transport.get(path, query, within) as response:
                body = await response.body(within)
            if response.status != 200:
                return _refusal(response, read_status(body))
            page = read_page(body)
        except (TransportError, Unreadable) as error:
            return _breakdown(error)
        await self._deliver(self._put(item, request.version) for item in page.items or ())
        if not page.metadata.token:
            self._pass_on(self._replica.end_list())
            self._heard_at = time.monotonic()
        return PageRead(page.metadata.resource_version, page.metadata.token)

    def _put(self, item: msgspec.Raw, version: str) -> Sequence[Change]:
        return self._replica.put(item, version)[1]

    async def _watch(self, request: StreamedList | Watch) -> WatchEnd:
        self._begin(request)
        began = time.monotonic()
        cause: Closing | Silence | Refusal | Breakdown
        try:
            cause = await self._read_watch(request, began)
        except _Refused as end:
            cause = end.refusal
        except SilenceError:
            cause = Silence()
        except (TransportError, Unreadable) as error:
            cause = _breakdown(error)
        was_alive = self._events > 0 or time.monotonic() - began >= self._patience.alive
        return WatchEnd(cause, self._revision, was_alive and self._revision != "")

    def _begin(self, request: StreamedList | Watch) -> None:
        self._events = 0
        self._is_listing = isinstance(request, StreamedList)
        self._revision = request.revision if isinstance(request, Watch) else ""
        if self._is_listing:
            self._replica.begin_list()

    async def _read_watch(self, request: StreamedList | Watch, began: float) -> Closing | Refusal:
        seconds = random.randint(*self._patience.watch)  # noqa: S311
        path = self.resource.path(request.version)
        query = query_of(self.resource, request, seconds)
        async with self._transport.get(path, query, self._patience.answer) as response:
            if response.status != 200:
                return _refusal(response, read_status(await response.body(self._patience.answer)))
            self._confirm()
            lines = Lines()
            while chunk := await response.chunk(self._time_left(began)):
                await self._deliver(
                    self._take(read_event(line), request.version) for line in lines.feed(chunk)
                )
                self._confirm()
        return Closing()

    def _confirm(self) -> None:
        """The server answers: what has been passed on is how things are, if the list is over."""
        if not self._is_listing:
            self._heard_at = time.monotonic()
            self._enter(followed(self._state))

    def _time_left(self, began: float) -> float:
        """How long the next part of the watch may take to come."""
        if not self._is_listing:
            return self._patience.silence
        until_listed = began + self._patience.listing - time.monotonic()
        return min(self._patience.answer, until_listed)

    def _take(self, event: Event, version: str) -> Sequence[Change]:
        """The changes of an event. Raises ``_Refused`` and ``Unreadable``."""
        changes: Sequence[Change]
        match event.type:
            case "ADDED" | "MODIFIED":
                revision, changes = self._replica.put(event.object, version)
            case "DELETED":
                revision, changes = self._replica.remove(event.object)
            case "BOOKMARK":
                revision, changes = self._take_bookmark(event.object)
            case "ERROR":
                status = read_status(event.object)
                raise _Refused(_said_no(status.code or 500, status, 0.0))
            case other:
                raise Unreadable(f"sends events of type {other[:64]!r}")
        if revision and not self._is_listing:
            self._revision = revision
            self._events += event.type != "BOOKMARK"
        return changes

    def _take_bookmark(self, data: msgspec.Raw) -> tuple[str, Sequence[Change]]:
        bookmark = read_bookmark(data)
        if not (self._is_listing and bookmark.ends_list):
            return bookmark.metadata.resource_version, ()
        self._is_listing = False
        return bookmark.metadata.resource_version, self._replica.end_list()

    async def _deliver(self, batches: Iterable[Sequence[Change]]) -> None:
        """Pass changes on, in slices that never hold up the event loop."""
        changes: list[Change] = []
        until = time.perf_counter() + _SLICE_S
        try:
            for batch in batches:
                changes += batch
                if time.perf_counter() > until:
                    self._pass_on(changes)
                    changes = []
                    await asyncio.sleep(0)
                    until = time.perf_counter() + _SLICE_S
        finally:
            self._pass_on(changes)

    def _pass_on(self, changes: Sequence[Change]) -> None:
        if changes:
            self._sink(changes)


def _log_health(resource: Resource, before: State, after: State) -> None:
    match after.health:
        case Health.CURRENT if before.health is not Health.STARTING:
            _log.info("kind is followed again", resource=resource.name)
        case Health.ABSENT:
            _log.info("kind is not installed", resource=resource.name)
        case Health.FORBIDDEN | Health.FAILING:
            _log.warning("kind can't be followed", resource=resource.name, reason=after.reason)
        case Health.STARTING | Health.CURRENT:
            pass
        case _:
            assert_never(after.health)


def _refusal(response: Response, status: Status) -> Refusal:
    return _said_no(response.status, status, response.retry_after)


def _said_no(code: int, status: Status, retry_after: float) -> Refusal:
    reason = status.message or status.reason or f"is refused with status {code}"
    wait = max(retry_after, status.retry_after)
    return Refusal(code, _one_line(reason), wait, status.is_from_the_future)


def _breakdown(error: TransportError | Unreadable) -> Breakdown:
    match error:
        case TransportError():
            return Breakdown(_one_line(str(error)), is_untrusted=error.is_untrusted)
        case Unreadable():
            return Breakdown(_one_line(str(error)), is_nonsense=True)
        case _:
            assert_never(error)


def _one_line(text: str) -> str:
    """What a server said, as people can bear it."""
    return " ".join(text.split())[:512]
