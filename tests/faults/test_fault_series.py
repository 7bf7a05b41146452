"""Many faults of an API server, one after the other, by chance: nothing is lost, none made up."""

import asyncio
import random

import pytest

from tests.support.following import following
from tests.support.history import History, repeated, told, world
from tests.support.kubeapi import (
    Answer,
    CutMidLine,
    Delay,
    Drop,
    ErrorEvent,
    Fault,
    Garbage,
    HalfOpen,
    KubeApi,
)
from xds_server.sources.kubernetes import Patience

SEEDS = range(6)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("seed", SEEDS)
async def test_through_any_series_of_faults_the_world_becomes_that_of_the_server(
    seed: int,
) -> None:
    chance = random.Random(seed)
    patience = Patience(answer=0.3, listing=1.0, silence=0.3, alive=0.2)
    async with KubeApi(log_size=40, bookmarks_s=0.05, watch_list=bool(seed % 2), seed=seed) as api:
        history = History(api)
        history.write(chance)
        async with following(api, "services", patience=patience) as follow:
            for _ in range(25):
                _hurt(api, chance)
                for _ in range(chance.randrange(6)):
                    history.write(chance)
                await asyncio.sleep(chance.random() * 0.1)
            api.faults.clear()
            api.reset_connections()
            await follow.until(lambda: world(follow) == history.now())
            assert told(follow) <= history.ever
            assert not any(same for same in repeated(follow))


def _hurt(api: KubeApi, chance: random.Random) -> None:
    faults = (
        Drop(),
        Delay(0.05),
        Answer(410, "Expired"),
        Answer(500),
        Answer(429, "Busy", retry_after=0),
        ErrorEvent(410, "Expired", after=chance.randrange(3)),
        ErrorEvent(500, "InternalError"),
        Garbage(),
        CutMidLine(after=chance.randrange(3)),
        HalfOpen(after=chance.randrange(3)),
    )
    match chance.randrange(4):
        case 0:
            api.reset_connections()
        case 1:
            api.store.compact()
    api.faults.add(Fault(chance.choice(faults), times=chance.randrange(1, 3)))
