"""A waypoint whose control plane is a program of its own, which a test may kill."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.fleet import EchoFleet
from tests.support.loopback import LoopbackNet
from tests.support.stand import Stand, stand


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def killable(
    net: LoopbackNet, fleet: EchoFleet, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with stand(net, fleet, tmp_path_factory.mktemp("killable"), first_host=141) as one:
        yield one
