"""The control plane is killed, starts broken, or loses its folder: nobody who asks is to notice."""

import pytest

from tests.support.controlplane import eventually
from tests.support.load import Load
from tests.support.stand import Stand

pytestmark = pytest.mark.asyncio(loop_scope="module")

# What a stream costs that carries no resources: HTTP/2, gRPC, and empty answers.
_CHATTER = 4096


@pytest.mark.parametrize(
    ("kills", "rate"), [(3, 100), pytest.param(20, 200, marks=pytest.mark.long)]
)
@pytest.mark.timeout(300)
async def test_killed_under_load(killable: Stand, kills: int, rate: int) -> None:
    before = await updates(killable)
    async with killable.load(rate=rate) as load:
        for _ in range(kills):
            killable.server.kill()
            await more(load, 20)
            at_death = await killable.received()
            killable.server.start()
            await killable.server.wait_ready()
            await killable.until_connected()
            await more(load, 20)
            assert at_death > _CHATTER  # the first configuration was larger
            assert await killable.received() - at_death < _CHATTER
    assert load.outcome.failures == []
    assert await updates(killable) == before


async def test_an_edit_while_it_is_down_arrives_when_it_is_back(killable: Stand) -> None:
    async with killable.load() as load:
        await until_version(load, "v1")
        killable.server.kill()
        killable.split(100)
        await more(load, 20)
        assert load.outcome.samples[-1].version == "v1"
        killable.server.start()
        await until_version(load, "v2")
        killable.split(0)
        await until_version(load, "v1")
    assert load.outcome.failures == []


async def test_weights_are_edited_under_load(killable: Stand) -> None:
    async with killable.load(rate=200) as load:
        for _ in range(5):
            killable.split(100)
            await until_version(load, "v2")
            killable.split(0)
            await until_version(load, "v1")
    assert load.outcome.failures == []


async def test_started_with_a_broken_folder(killable: Stand) -> None:
    async with killable.load() as load:
        killable.server.kill()
        killable.manifests.put_text("broken", "kind: Service\nmetadata: {name: [\n")
        killable.manifests.put_text("nonsense", "apiVersion: v1\nkind: Service\nmetadata: 7\n")
        try:
            killable.server.start()
            await killable.server.wait_ready()
            await killable.until_connected()
            assert len(await killable.server.get("/problems")) >= 2
            killable.split(100)
            await until_version(load, "v2")
            killable.split(0)
            await until_version(load, "v1")
        finally:
            killable.manifests.remove("broken")
            killable.manifests.remove("nonsense")
    assert load.outcome.failures == []


async def test_the_folder_goes_and_comes_back(killable: Stand) -> None:
    root = killable.manifests.root
    away = root.with_name("away")
    before = await updates(killable)
    async with killable.load() as load:
        root.rename(away)
        await more(load, 100)
        away.rename(root)
        await more(load, 50)
        assert await updates(killable) == before
        killable.split(100)
        await until_version(load, "v2")
        killable.split(0)
        await until_version(load, "v1")
    assert load.outcome.failures == []


async def updates(killable: Stand) -> dict[str, int]:
    """How often listeners, clusters or routes of the waypoint were changed."""
    return await killable.envoy.stats(
        r"^listener_manager\.(listener_(added|modified|in_place_updated|removed)"
        r"|total_listeners_draining)$|^cluster_manager\.cluster_(added|modified|removed)$"
        r"|\.rds\..*\.config_reload$"
    )


async def more(load: Load, count: int) -> None:
    """Wait for that many more answers."""
    wanted = len(load.outcome.samples) + count
    await eventually(lambda: len(load.outcome.samples) >= wanted)


async def until_version(load: Load, version: str) -> None:
    """Wait until only that version answers, be it after a start and Envoy's pause before it."""

    def is_alone() -> bool:
        return len(load.outcome.samples) >= seen + 8 and {
            sample.version for sample in load.outcome.samples[-8:]
        } == {version}

    seen = len(load.outcome.samples)
    await eventually(is_alone, timeout_s=30)
