"""The garbage collector's settings, and what is known of its pauses."""

import asyncio
import gc
import weakref
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


class Ring:
    """Something that nothing but the collector can free."""

    def __init__(self) -> None:
        self.itself = self


def test_sparing_looks_only_at_what_is_new() -> None:
    kept = [[number] for number in range(1000)]
    frozen, seen = gc.get_freeze_count(), list[object]()

    def note(phase: str, info: dict[str, int]) -> None:
        seen.append(info["generation"])

    gc.callbacks.append(note)
    Collector().spare()
    gc.callbacks.remove(note)
    assert set(seen) <= {0, 1}
    assert gc.get_freeze_count() >= frozen + len(kept)


async def test_what_is_new_does_not_stay_new_while_as_much_is_freed_as_is_made() -> None:
    with Collector().watching():
        running = asyncio.create_task(Collector().run())
        kept = [[number] for number in range(100)]  # too few for the collector to be called
        async with asyncio.timeout(10):
            while any(one is kept for one in gc.get_objects(generation=0)):  # noqa: ASYNC110  nothing tells
                await asyncio.sleep(0.02)
        running.cancel()


def test_what_is_garbage_already_is_not_spared() -> None:
    ring = weakref.ref(Ring())
    Collector().spare()
    assert ring() is None
