"""What to ask the API server next, for one kind: a pure function of what happened so far.

A kind is first listed, then watched from the revision of the list. A list comes through a watch
(``sendInitialEvents``, Kubernetes API concepts, "Streaming lists") or, where the server can't do
that, in pages. Revisions are opaque: they are passed back, never compared.
"""

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import assert_never

from xds_server.sources.kubernetes.backoff import delay

PAGE_SIZE = 250
_ROUNDS_UNTIL_GONE = 6  # some 20 s in which all versions of a kind answer 404
_RESTARTS_UNTIL_UNPAGED = 2


class Health(Enum):
    """How well a kind is followed."""

    STARTING = auto()
    CURRENT = auto()
    ABSENT = auto()  # the server does not know the kind: its CRD is not installed
    FORBIDDEN = auto()  # we may not read it
    FAILING = auto()  # the server can't be reached, or can't answer


@dataclass(frozen=True, slots=True)
class StreamedList:
    """List and go on watching, in one request."""

    version: str


@dataclass(frozen=True, slots=True)
class PagedList:
    """One page of a list. ``token`` is empty for the first; ``limit`` 0 asks for all at once."""

    version: str
    token: str = ""
    limit: int = PAGE_SIZE


@dataclass(frozen=True, slots=True)
class Watch:
    """Changes after a revision."""

    version: str
    revision: str


Request = StreamedList | PagedList | Watch


@dataclass(frozen=True, slots=True)
class PageRead:
    """A page of a list has come; ``token`` is empty if it was the last one."""

    revision: str
    token: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The server said no: an HTTP status, or an ERROR event. ``retry_after`` is in seconds."""

    status: int
    reason: str
    retry_after: float = 0.0
    is_from_the_future: bool = False


@dataclass(frozen=True, slots=True)
class Breakdown:
    """There was no answer that makes sense.

    ``is_untrusted``: the server's certificate was not good. ``is_nonsense``: bytes came that are
    not what the API promises, and may come again.
    """

    reason: str
    is_untrusted: bool = False
    is_nonsense: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """A watch said nothing for so long that it can't be alive."""


@dataclass(frozen=True, slots=True)
class Closing:
    """A watch ended as watches do."""


@dataclass(frozen=True, slots=True)
class WatchEnd:
    """A watch is over.

    ``revision`` is where to go on, empty if not even the list in it was complete. ``was_alive``:
    it lasted long enough, or brought enough, to show that the server works.
    """

    cause: Closing | Silence | Refusal | Breakdown
    revision: str
    was_alive: bool


Outcome = PageRead | Refusal | Breakdown | WatchEnd


@dataclass(frozen=True, slots=True)
class State:
    """Where the following of one kind stands.

    ``versions`` are the API versions to try, best first, and ``version`` is the one in use.
    ``revision`` is empty if a list is needed. ``listing`` is the revision of a paged list that is
    under way, ``restarts`` how often it expired halfway. ``can_stream`` is false once the server
    has failed to list through a watch. ``rounds_absent`` counts in a row.
    """

    versions: tuple[str, ...]
    version: int = 0
    revision: str = ""
    listing: str = ""
    restarts: int = 0
    can_stream: bool = True
    failures: int = 0
    rounds_absent: int = 0
    health: Health = Health.STARTING
    reason: str = ""

    @property
    def is_gone(self) -> bool:
        """Whether the kind has been absent for so long that its objects must be gone too.

        The server deletes the objects of a CRD before it forgets the kind, and says so; a 404
        that comes without is more likely to be a proxy's mistake.
        """
        return self.rounds_absent >= _ROUNDS_UNTIL_GONE


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next: wait so many seconds, then make the request.

    ``renew``: log in again first, because the server did not accept us, or we not it.
    """

    state: State
    request: Request
    wait: float = 0.0
    renew: bool = False


def start(versions: tuple[str, ...]) -> Step:
    """The first step."""
    return _again(State(versions))


def decide(state: State, request: Request, outcome: Outcome, chance: float) -> Step:
    """What to do after a request. ``chance``, from 0 to 1, spreads the waits."""
    match outcome:
        case PageRead():
            return _after_page(state, request, outcome)
        case WatchEnd():
            return _after_watch(_learn(state, outcome), request, outcome, chance)
        case Refusal():
            return _after_refusal(state, request, outcome, chance)
        case Breakdown():
            return _after_breakdown(state, outcome, chance)
        case _:
            assert_never(outcome)


def followed(state: State) -> State:
    """The state of a kind whose list is complete and whose watch is being answered."""
    return replace(state, health=Health.CURRENT, reason="", rounds_absent=0, restarts=0)


def _again(state: State, wait: float = 0.0, *, renew: bool = False) -> Step:
    """What the state asks for, from its beginning."""
    version = state.versions[state.version]
    request: Request
    if state.revision:
        request = Watch(version, state.revision)
    elif state.can_stream:
        request = StreamedList(version)
    else:
        limit = 0 if state.restarts >= _RESTARTS_UNTIL_UNPAGED else PAGE_SIZE
        request = PagedList(version, limit=limit)
    return Step(replace(state, listing=""), request, wait, renew)


def _learn(state: State, end: WatchEnd) -> State:
    state = replace(state, revision=end.revision)
    return replace(followed(state), failures=0) if end.was_alive else state


def _after_page(state: State, request: Request, page: PageRead) -> Step:
    listing = state.listing or page.revision  # of the first page: all pages show that revision
    if page.token and isinstance(request, PagedList):
        state = replace(state, listing=listing)
        return Step(state, PagedList(request.version, page.token, request.limit))
    return _again(replace(followed(state), revision=listing))


def _after_watch(state: State, request: Request, end: WatchEnd, chance: float) -> Step:
    match end.cause:
        case Closing() if end.was_alive and state.revision:
            return _again(state)
        case Closing():
            return _fail(_without_streaming(state), Health.FAILING, "ends watches early", chance)
        case Silence():
            state = replace(_without_streaming(state), revision="")
            return _fail(state, Health.FAILING, "has gone silent", chance)
        case Refusal():
            return _after_refusal(state, request, end.cause, chance)
        case Breakdown():
            return _after_breakdown(state, end.cause, chance)
        case _:
            assert_never(end.cause)


def _without_streaming(state: State) -> State:
    """For a server that may not know streamed lists: it did not complete one."""
    return state if state.revision else replace(state, can_stream=False)


def _after_refusal(state: State, request: Request, no: Refusal, chance: float) -> Step:
    match no.status:
        case 404:
            return _try_next_version(state, no, chance)
        case 401:
            step = _fail(state, Health.FORBIDDEN, no.reason, chance)
            return replace(step, renew=True)
        case 403:
            return _fail(state, Health.FORBIDDEN, no.reason, chance, no.retry_after)
        case 429 | 502 | 503 | 504 if not no.is_from_the_future:
            return _fail(state, Health.FAILING, no.reason, chance, no.retry_after)
        case 410:
            return _list_anew(state, request, no, chance)
        case 400 if isinstance(request, Watch):
            return _list_anew(state, request, no, chance)
        case 400 | 422 if isinstance(request, StreamedList) and not state.revision:
            return _again(replace(state, can_stream=False))
        case _ if no.is_from_the_future:
            return _list_anew(state, request, no, chance)
        case _:
            state = _without_streaming(state)
            return _fail(state, Health.FAILING, no.reason, chance, no.retry_after)


def _try_next_version(state: State, no: Refusal, chance: float) -> Step:
    """The server does not know this version of the kind; perhaps it knows an older one."""
    state = replace(state, revision="", version=(state.version + 1) % len(state.versions))
    if state.version:
        return _again(state)
    rounds = state.rounds_absent + 1
    absent = replace(state, rounds_absent=rounds, health=Health.ABSENT, reason="")
    return _again(absent, delay(rounds, chance, no.retry_after))


def _list_anew(state: State, request: Request, no: Refusal, chance: float) -> Step:
    """The revision is too old, or unknown: go on with what is there, and list.

    That is how watches are meant to work, and no trouble to report.
    """
    halfway = isinstance(request, PagedList) and request.token != ""
    failures = state.failures + 1
    state = replace(
        state, revision="", failures=failures, restarts=state.restarts + (1 if halfway else 0)
    )
    return _again(state, delay(failures, chance, no.retry_after))


def _after_breakdown(state: State, breakdown: Breakdown, chance: float) -> Step:
    if state.failures > 0:  # a second time: perhaps it is the streamed list that breaks it
        state = _without_streaming(state)
    if breakdown.is_nonsense:
        state = replace(state, revision="")
    step = _fail(state, Health.FAILING, breakdown.reason, chance)
    return replace(step, renew=breakdown.is_untrusted)


def _fail(
    state: State, health: Health, reason: str, chance: float, retry_after: float = 0.0
) -> Step:
    failures = state.failures + 1
    state = replace(state, failures=failures, health=health, reason=reason)
    return _again(state, delay(failures, chance, retry_after))
