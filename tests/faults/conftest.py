"""What tests of faults share: a waypoint whose control plane they may kill, and little patience."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.fleet import EchoFleet
from tests.support.loopback import LoopbackNet
from tests.support.stand import Stand, stand
from xds_server.sources.kubernetes import backoff


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def killable(
    net: LoopbackNet, fleet: EchoFleet, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with stand(net, fleet, tmp_path_factory.mktemp("killable"), first_host=141) as one:
        yield one


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds, so that a test can fail often."""
    monkeypatch.setattr(backoff, "_FIRST", 0.01)
    monkeypatch.setattr(backoff, "_LONGEST", 0.1)
