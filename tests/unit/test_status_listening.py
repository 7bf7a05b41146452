"""What is to be said is heard in slices, and heard again if it changes meanwhile."""

import asyncio
from collections.abc import Iterator
from typing import Any, cast

from translators.resources.core import Service
from translators.resources.metadata import Metadata
from translators.status import ObjectStatus
from xds_server.sources.kubernetes.transport import Transport
from xds_server.status import Leader, Objects, StatusWriter


def say(name: str, reason: str) -> ObjectStatus:
    service = Service(Metadata(name=name, namespace="n"))
    return ObjectStatus(service, (), {"conditions": [{"reason": reason}]})


def writer() -> StatusWriter:
    return StatusWriter(Objects(cast(Transport, None)), cast(Leader, None))


def reasons(one: StatusWriter) -> list[Any]:
    return [each.status["conditions"][0]["reason"] for each in one._said.values()]


async def test_what_changes_meanwhile_is_heard_again() -> None:
    one, heard = writer(), 0

    def statuses() -> Iterator[ObjectStatus | None]:
        nonlocal heard
        heard += 1
        reason = "old" if heard == 1 else "new"
        yield say("a", reason)
        yield None
        if heard == 1:
            one.wake()
        yield say("b", reason)

    await one._listen(statuses)
    assert (heard, reasons(one)) == (2, ["new", "new"])
    assert not one._changed.is_set()


async def test_what_changes_all_the_time_is_heard_at_last_and_once_more_later() -> None:
    one = writer()

    def statuses() -> Iterator[ObjectStatus | None]:
        yield say("a", "any")
        one.wake()

    await one._listen(statuses)
    assert reasons(one) == ["any"]
    assert one._changed.is_set()


async def test_others_run_between_the_slices() -> None:
    one, turns = writer(), 0

    def statuses() -> Iterator[ObjectStatus | None]:
        for number in range(60):
            sum(range(20_000))
            yield say(str(number), "any")

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await one._listen(statuses)
    heard = turns
    await one._compare()
    counting.cancel()
    assert heard >= 2
    assert one.waiting == 60
