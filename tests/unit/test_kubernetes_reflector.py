"""What is asked of the API server next, without one."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xds_server.sources.kubernetes.reflector import (
    Breakdown,
    Closing,
    Health,
    Outcome,
    PagedList,
    PageRead,
    Refusal,
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

VERSIONS = ("v1", "v1beta1")
GONE = Refusal(410, "too old resource version")
NOT_FOUND = Refusal(404, "page not found")


def after(step: Step, outcome: Outcome, chance: float = 0.5) -> Step:
    return decide(step.state, step.request, outcome, chance)


def watching(revision: str = "7", **fields: object) -> Step:
    """A kind that was listed and is watched."""
    state = followed(State(VERSIONS, revision=revision, **fields))  # type: ignore[arg-type]
    return Step(state, Watch("v1", revision))


def paging(token: str = "") -> Step:
    """A kind that is being listed in pages."""
    listing = "7" if token else ""
    state = followed(State(VERSIONS, can_stream=False, listing=listing))
    return Step(state, PagedList("v1", token))


def failed_watch(cause: Closing | Silence | Refusal | Breakdown, revision: str = "7") -> WatchEnd:
    return WatchEnd(cause, revision, was_alive=False)


def test_starts_with_a_streamed_list_of_the_best_version() -> None:
    step = start(VERSIONS)
    assert step.request == StreamedList("v1")
    assert step.wait == 0
    assert step.state.health is Health.STARTING


def test_goes_on_from_the_last_revision_when_a_watch_ends() -> None:
    step = after(watching(), WatchEnd(Closing(), "9", was_alive=True))
    assert step.request == Watch("v1", "9")
    assert step.wait == 0


def test_goes_on_from_the_streamed_list_without_listing_again() -> None:
    step = after(start(VERSIONS), WatchEnd(Closing(), "9", was_alive=True))
    assert step.request == Watch("v1", "9")


@pytest.mark.parametrize("status", [400, 422])
def test_lists_in_pages_at_once_if_the_server_knows_no_streamed_lists(status: int) -> None:
    refused = failed_watch(Refusal(status, "sendInitialEvents is forbidden"), "")
    step = after(start(VERSIONS), refused)
    assert step.request == PagedList("v1")
    assert step.wait == 0
    assert step.state.health is Health.STARTING


@pytest.mark.parametrize(
    "cause",
    [
        Refusal(500, "RequestWatchProgress is disabled"),
        Silence(),
        Closing(),
    ],
)
def test_lists_in_pages_if_a_streamed_list_does_not_end(
    cause: Closing | Silence | Refusal,
) -> None:
    step = after(start(VERSIONS), failed_watch(cause, ""))
    assert step.request == PagedList("v1")
    assert step.wait > 0


def test_one_breakdown_does_not_speak_against_streamed_lists_but_two_do() -> None:
    first = after(start(VERSIONS), failed_watch(Breakdown("reset"), ""))
    assert first.request == StreamedList("v1")
    assert after(first, failed_watch(Breakdown("reset"), "")).request == PagedList("v1")


def test_a_server_that_can_stream_is_asked_to_after_its_watch_failed() -> None:
    step = after(watching(), failed_watch(Refusal(500, "oops")))
    assert step.state.can_stream


def test_reads_pages_until_there_are_no_more() -> None:
    step = after(paging(), PageRead("7", "second"))
    assert step.request == PagedList("v1", "second")
    step = after(step, PageRead("7", "third"))
    assert (step.request, step.wait) == (PagedList("v1", "third"), 0)


def test_watches_from_the_revision_of_the_first_page() -> None:
    step = after(paging(), PageRead("7", "second"))
    step = after(step, PageRead("9", ""))
    assert step.request == Watch("v1", "7")
    assert step.state.health is Health.CURRENT


def test_a_list_that_expires_halfway_is_begun_again_then_read_at_once() -> None:
    step = after(paging("second"), GONE)
    assert step.request == PagedList("v1")
    step = after(after(step, PageRead("8", "second")), GONE)
    assert step.request == PagedList("v1", limit=0)
    step = after(step, PageRead("9", ""))
    assert step.request == Watch("v1", "9")
    assert step.state.restarts == 0


@pytest.mark.parametrize(
    "refusal",
    [
        GONE,
        Refusal(400, "invalid resource version"),
        Refusal(504, "Too large resource version", is_from_the_future=True),
        Refusal(500, "Too large resource version", is_from_the_future=True),
    ],
)
def test_a_revision_that_the_server_can_not_use_is_forgotten(refusal: Refusal) -> None:
    step = after(watching(), failed_watch(refusal))
    assert step.request == StreamedList("v1")
    assert step.wait > 0


def test_an_expired_revision_is_no_trouble_to_report() -> None:
    assert after(watching(), failed_watch(GONE)).state.health is Health.CURRENT


def test_expiring_again_and_again_waits_longer_and_longer() -> None:
    step = watching()
    waits = []
    for _ in range(4):
        step = after(step, failed_watch(GONE))
        waits.append(step.wait)
        step = Step(step.state, Watch("v1", "8"))
    assert all(longer > shorter for shorter, longer in pairwise(waits))


def test_a_silent_watch_is_not_trusted_to_have_told_all() -> None:
    step = after(watching(), WatchEnd(Silence(), "9", was_alive=True))
    assert step.request == StreamedList("v1")
    assert step.state.health is Health.FAILING


def test_tries_older_versions_at_once() -> None:
    step = after(start(VERSIONS), failed_watch(NOT_FOUND, ""))
    assert step.request == StreamedList("v1beta1")
    assert step.wait == 0


def test_a_kind_of_no_version_is_absent_and_looked_for_ever_more_seldom() -> None:
    step, waits = start(VERSIONS), []
    for _ in range(8):
        step = after(after(step, failed_watch(NOT_FOUND, "")), failed_watch(NOT_FOUND, ""))
        assert step.request == StreamedList("v1")
        assert step.state.health is Health.ABSENT
        waits.append(step.wait)
    assert waits == sorted(waits)
    assert waits[-1] > 10


def test_an_absent_kind_is_followed_once_it_is_there() -> None:
    step = start(("v1",))
    step = after(step, failed_watch(NOT_FOUND, ""))
    state = followed(step.state)
    assert (state.health, state.rounds_absent) == (Health.CURRENT, 0)


def test_a_kind_is_gone_only_after_it_was_absent_for_a_while() -> None:
    step, waited = start(("v1",)), 0.0
    while not step.state.is_gone:
        step = after(step, failed_watch(NOT_FOUND, ""), chance=0.9)
        waited += step.wait
    assert waited > 15


@pytest.mark.parametrize("status", [401, 403])
def test_what_may_not_be_read_any_more_is_reported_and_asked_for_again(status: int) -> None:
    step = after(watching(), failed_watch(Refusal(status, "forbidden")))
    assert step.state.health is Health.FORBIDDEN
    assert step.state.reason == "forbidden"
    assert step.request == Watch("v1", "7")
    assert step.wait > 0


def test_logs_in_again_if_it_is_not_accepted_or_does_not_accept_the_server() -> None:
    assert after(watching(), failed_watch(Refusal(401, "expired"))).renew
    assert after(watching(), failed_watch(Breakdown("bad CA", is_untrusted=True))).renew
    assert not after(watching(), failed_watch(Refusal(403, "forbidden"))).renew
    assert not after(watching(), failed_watch(Breakdown("reset"))).renew


@pytest.mark.parametrize("status", [403, 410, 429, 500, 503])
def test_waits_as_long_as_the_server_asks(status: int) -> None:
    step = after(watching(), failed_watch(Refusal(status, "busy", retry_after=20)), chance=0)
    assert 20 <= step.wait <= 22


def test_a_watch_that_was_alive_starts_the_waits_anew() -> None:
    tired = watching(failures=9)
    assert after(tired, failed_watch(Breakdown("reset"))).wait > 10
    assert after(tired, WatchEnd(Breakdown("reset"), "9", was_alive=True)).wait < 1


def test_a_watch_that_sends_nonsense_is_not_resumed_where_it_would_send_it_again() -> None:
    assert after(watching(), failed_watch(Breakdown("reset"))).request == Watch("v1", "7")
    nonsense = Breakdown("no JSON", is_nonsense=True)
    assert after(watching(), failed_watch(nonsense)).request == StreamedList("v1")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_server_that_is_busy_may_well_know_streamed_lists(status: int) -> None:
    step = after(start(VERSIONS), failed_watch(Refusal(status, "busy"), ""))
    assert step.request == StreamedList("v1")


def test_watches_that_end_at_once_are_a_failure() -> None:
    step = after(watching(), failed_watch(Closing()))
    assert step.wait > 0
    assert step.request == Watch("v1", "7")


_refusals = st.builds(
    Refusal,
    st.sampled_from([400, 401, 403, 404, 410, 422, 429, 500, 503, 504]),
    st.just("no"),
    st.sampled_from([0.0, 0.0, 5.0, 1e9]),
    st.booleans(),
)
_breakdowns = st.builds(Breakdown, st.just("reset"), st.booleans(), st.booleans())
_bad_ends = st.builds(
    WatchEnd,
    st.one_of(_refusals, _breakdowns, st.builds(Silence), st.builds(Closing)),
    st.sampled_from(["", "5"]),
    st.just(False),
)


@settings(deadline=None)
@given(st.lists(st.tuples(st.one_of(_refusals, _breakdowns), _bad_ends, st.floats(0, 1))))
def test_no_series_of_failures_is_asked_for_without_pause(
    failures: list[tuple[Refusal | Breakdown, WatchEnd, float]],
) -> None:
    step, unpaused = start(VERSIONS), 0
    for of_page, of_watch, chance in failures:
        is_page = isinstance(step.request, PagedList)
        step = after(step, of_page if is_page else of_watch, chance)
        assert step.request.version in VERSIONS
        assert 0 <= step.wait <= 330
        unpaused = 0 if step.wait else unpaused + 1
        assert unpaused <= len(VERSIONS)  # an older version, and pages instead of a stream


@settings(deadline=None)
@given(st.lists(st.tuples(_bad_ends, st.floats(0, 1)), max_size=20))
def test_whatever_happened_a_server_that_is_well_again_is_followed(
    failures: list[tuple[WatchEnd, float]],
) -> None:
    step = start(VERSIONS)
    for end, chance in failures:
        is_page = isinstance(step.request, PagedList)
        step = after(step, Breakdown("reset") if is_page else end, chance)
    for outcome in _healthy(step):
        step = after(step, outcome)
    assert step.state.health is Health.CURRENT
    assert step.state.failures == 0
    assert step.request == Watch(step.request.version, "8")


def _healthy(step: Step) -> Iterator[Outcome]:
    """What a server that works answers, until a watch has ended well."""
    if isinstance(step.request, PagedList):
        yield PageRead("7", "")
    yield WatchEnd(Closing(), "8", was_alive=True)
