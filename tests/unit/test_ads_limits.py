"""Rates and places, without a server."""

import asyncio

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds_server.ads.admission import Admission
from xds_server.ads.closing import Closing
from xds_server.ads.counters import AdsCounters
from xds_server.ads.limits import AdsLimits, TokenBucket
from xds_server.ads.stream import legible
from xds_server.ads.throttle import Throttle
from xds_server.protocol import Response


def test_a_bucket_lets_its_burst_through_and_not_one_more() -> None:
    bucket = TokenBucket(rate=10, burst=3)

    assert [bucket.take(0.0) for _ in range(3)] == [0.0] * 3
    assert bucket.take(0.0) == pytest.approx(0.1)


def test_a_bucket_refills_at_its_rate_up_to_its_burst() -> None:
    bucket = TokenBucket(rate=10, burst=3)
    for _ in range(3):
        bucket.take(0.0)

    assert bucket.take(0.1) == 0.0
    assert bucket.take(0.1) > 0
    assert [bucket.take(1000.0) for _ in range(3)] == [0.0] * 3
    assert bucket.take(1000.0) > 0


@given(
    st.floats(0.1, 100),
    st.integers(1, 50),
    st.lists(st.floats(0, 1), max_size=200),
)
def test_no_more_than_burst_and_rate_ever_pass(rate: float, burst: int, gaps: list[float]) -> None:
    bucket = TokenBucket(rate, burst)
    now, passed = 0.0, 0
    for gap in gaps:
        now += gap
        passed += bucket.take(now) == 0.0

    assert passed <= burst + rate * sum(gaps[1:]) + 1e-6


def test_the_wait_that_a_bucket_names_is_enough() -> None:
    bucket = TokenBucket(rate=3, burst=1)
    bucket.take(0.0)

    assert bucket.take(bucket.take(0.0) + 1e-9) == 0.0


async def test_a_throttle_forgives_who_slows_down() -> None:
    throttle = Throttle("requests", TokenBucket(rate=100, burst=1), patience=0.03)
    for _ in range(10):
        await throttle.admit()
        await asyncio.sleep(0.02)


async def test_a_throttle_loses_patience() -> None:
    throttle = Throttle("requests", TokenBucket(rate=100, burst=1), patience=0.03)

    async def hammer() -> None:
        for _ in range(1000):
            await throttle.admit()

    with pytest.raises(Closing, match="too many requests") as closing:
        await hammer()
    assert closing.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_places_are_given_back() -> None:
    admission = Admission(AdsLimits(streams=1, streams_per_identity=1))
    for now in range(3):
        with admission.enter(float(now)), admission.identify("a"), pytest.raises(Closing):
            admission.enter(float(now)).__enter__()
        with admission.identify("a"), admission.identify("b"), pytest.raises(Closing):
            admission.identify("a").__enter__()


def test_arrivals_are_counted_even_when_they_are_refused_a_place() -> None:
    admission = Admission(AdsLimits(streams=0, new_streams_per_second=1, new_streams_burst=2))
    for reason in ("too many streams", "too many streams", "new streams"):
        with pytest.raises(Closing, match=reason):
            admission.enter(0.0).__enter__()


def test_types_that_clients_invent_do_not_grow_the_counters() -> None:
    counters = AdsCounters()
    for number in range(1000):
        counters.count_response(Response(f"type{number}", "1", b"", ()))
        counters.count_rejection(f"type{number}")

    assert counters.responses == {"": 1000}
    assert counters.rejections == {"": 1000}


@given(st.text(max_size=2000))
def test_logged_words_of_a_client_are_short_and_printable(text: str) -> None:
    assert legible(text).isascii()
    assert all(character.isprintable() for character in legible(text))
    assert len(legible(text)) <= 500 * len("\\U0001f600")
