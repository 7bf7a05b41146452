"""The garbage collector's settings, and what is known of its pauses."""

import asyncio
import gc
from collections.abc import Iterator

import pytest

from xds_server.serving.collector import THRESHOLDS, Collector


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_pauses_are_counted_while_it_is_watched() -> None:
    collector = Collector()
    with collector.watching():
        gc.collect()
        gc.collect()
    gc.collect()
    figures = collector.figures()
    assert figures["pauses"] == 2
    assert 0 < figures["longest_ms"] <= figures["total_ms"]


def test_it_collects_seldom_while_it_is_watched() -> None:
    before = gc.get_threshold()
    with Collector().watching():
        assert gc.get_threshold() == THRESHOLDS
    assert gc.get_threshold() == before


def test_what_there_is_now_is_spared() -> None:
    kept = [[number] for number in range(1000)]
    frozen = gc.get_freeze_count()
    Collector().settle()
    assert gc.get_freeze_count() >= frozen + len(kept)


def test_sparing_takes_no_look_at_anything() -> None:
    collector = Collector()
    kept = [[number] for number in range(1000)]
    frozen = gc.get_freeze_count()
    with collector.watching():
        before = collector.figures()["pauses"]
        collector.spare()
        assert collector.figures()["pauses"] == before
    assert gc.get_freeze_count() >= frozen + len(kept)


async def test_what_is_new_does_not_stay_new_while_as_much_is_freed_as_is_made() -> None:
    with Collector().watching():
        running = asyncio.create_task(Collector().run())
        kept = [[number] for number in range(100)]  # too few for the collector to be called
        async with asyncio.timeout(10):
            while any(one is kept for one in gc.get_objects(generation=0)):  # noqa: ASYNC110  nothing tells
                await asyncio.sleep(0.02)
        running.cancel()
