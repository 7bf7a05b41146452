"""Thousands of streams share the event loop: little work never waits, much work is spread."""

import asyncio
from collections import Counter

from xds_server.ads.turns import Turns

OLD = -1e9
"""A time at which proxies came that are not new any more."""


class Ticks:
    """Counts the turns of the loop."""

    def __init__(self) -> None:
        self.now = 0
        self._loop = asyncio.get_running_loop()
        self._next()

    def _next(self) -> None:
        self.now += 1
        self._handle = self._loop.call_soon(self._next)

    def stop(self) -> None:
        self._handle.cancel()


async def test_nobody_waits_while_there_is_little_to_do() -> None:
    turns = Turns(seconds=60)
    for _ in range(100):
        coroutine = turns.enter(OLD)
        try:
            coroutine.send(None)
        except StopIteration:
            continue
        raise AssertionError("it waits")


async def test_a_full_turn_is_followed_by_others_of_a_few_each_in_order() -> None:
    turns, ticks = Turns(seconds=0, at_once=4), Ticks()
    came: list[tuple[int, int]] = []

    async def work(number: int) -> None:
        await turns.enter(OLD)
        came.append((ticks.now, number))

    await asyncio.gather(*(work(number) for number in range(41)))
    ticks.stop()
    assert [number for _, number in came] == list(range(41))
    assert max(Counter(tick for tick, _ in came).values()) == 4


async def test_new_proxies_and_known_ones_are_served_alternately() -> None:
    turns = Turns(seconds=0, at_once=2)
    now = asyncio.get_running_loop().time()
    came: list[str] = []

    async def work(name: str, since: float) -> None:
        await turns.enter(since)
        came.append(name)

    await asyncio.gather(
        *(work("storm", now) for _ in range(20)), work("change", OLD), work("change", OLD)
    )
    assert came.index("change") <= 3
    assert len(came) == 22


async def test_who_is_cancelled_while_waiting_holds_up_nobody() -> None:
    turns = Turns(seconds=0, at_once=1)
    tasks = [asyncio.create_task(turns.enter(OLD)) for _ in range(10)]
    await asyncio.sleep(0)
    for task in tasks[1:9]:
        task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(each, asyncio.CancelledError) for each in done) == 8
    await turns.enter(OLD)
