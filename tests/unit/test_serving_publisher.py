"""The publisher: first configurations go first, and no turn of the loop is long."""

import asyncio
import time
from contextlib import ExitStack
from typing import Any

import pytest

from benchmarks import worlds
from benchmarks.plane import secrets
from translators import gateway_api
from translators.compiler import Compiler
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.metadata import KubernetesObject
from translators.wire import ResourceKey
from translators.world import Change
from xds_server.serving.publisher import Publisher
from xds_server.snapshots import ProxyKey, SnapshotStore

BIND = "0.0.0.0:15008"


class Recorded(SnapshotStore):
    """A store that remembers what was published, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[tuple[ProxyKey, frozenset[ResourceKey] | None]] = []

    def publish(self, key, snapshot, changed) -> None:
        self.published.append((key, changed))
        super().publish(key, snapshot, changed)


def key(number: int, bind: str = BIND) -> ProxyKey:
    return ProxyKey(WaypointName(f"ns-{number}", "waypoint"), bind)


def put(*objects: KubernetesObject) -> list[Change]:
    return [Change(found.key, found) for found in objects]


class Rig:
    def __init__(self, namespaces: int) -> None:
        self.store = Recorded()
        self.settled = 0
        self.publisher = Publisher(Compiler(Mesh()), self.store, secrets, self._note_settled)
        self.publisher.apply(put(*worlds.world(namespaces, 3, 2, rules=2)))

    def _note_settled(self) -> None:
        self.settled += 1

    async def settle(self) -> list[tuple[ProxyKey, frozenset[ResourceKey] | None]]:
        """What is published until nothing waits."""
        running = asyncio.create_task(self.publisher.run())
        async with asyncio.timeout(10):
            while True:
                await asyncio.sleep(0)
                if self.publisher.idle:
                    break
        await asyncio.sleep(0)  # it may have let others run after the last one
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        published, self.store.published = self.store.published, []
        return published


async def test_a_change_is_published_to_its_waypoint_alone_with_what_is_new() -> None:
    rig = Rig(2)
    with rig.store.attach(key(0), lambda: None), rig.store.attach(key(1), lambda: None):
        assert await rig.settle() == [(key(0), None), (key(1), None)]
        rig.publisher.apply(put(worlds.route("ns-1", 2, 2, prefix="other")))
        ((told, changed),) = await rig.settle()
        assert told == key(1)
        assert [one.name for one in changed or ()] == [
            "inbound-vip|80|http|svc-2.ns-1.svc.cluster.local"
        ]


async def test_two_binds_of_a_waypoint_are_told_the_same_whenever_they_came() -> None:
    rig = Rig(1)
    early, late = key(0, "127.0.0.1:1"), key(0, "127.0.0.1:2")
    with rig.store.attach(early, lambda: None):
        await rig.settle()
        rig.publisher.apply(put(worlds.route("ns-0", 0, 2, prefix="one")))
        with rig.store.attach(late, lambda: None):
            published = await rig.settle()
            assert [told for told, _ in published] == [late, early]
            rig.publisher.apply(put(worlds.route("ns-0", 1, 2, prefix="two")))
            changes = dict(await rig.settle())
            assert changes.keys() == {early, late}
            assert changes[early] == changes[late] != frozenset()


async def test_it_says_when_first_configurations_are_done_and_nothing_waits() -> None:
    rig = Rig(3)
    with ExitStack() as stack:
        for number in range(3):
            stack.enter_context(rig.store.attach(key(number), lambda: None))
        await rig.settle()
        assert rig.settled == 1
        rig.publisher.apply(put(worlds.route("ns-0", 0, 2, prefix="one")))
        await rig.settle()
        assert rig.settled == 1


async def test_what_means_nothing_is_not_published() -> None:
    rig = Rig(1)
    with rig.store.attach(key(0), lambda: None):
        await rig.settle()
        rig.publisher.refresh([key(0).waypoint])
        assert await rig.settle() == []


async def test_many_small_works_give_way_to_others() -> None:
    rig, count = Rig(40), 40
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    with ExitStack() as stack:
        for number in range(count):
            stack.enter_context(rig.store.attach(key(number), lambda: None))
        beside = asyncio.create_task(others())
        began = time.perf_counter()
        assert len(await rig.settle()) == count
        spent = time.perf_counter() - began
        beside.cancel()
    assert turns >= spent / 0.005 / 10


async def test_a_fault_in_one_waypoint_harms_no_other_and_ends_with_its_cause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rig, faulty, translate = (
        Rig(2),
        [WaypointName("ns-0", "waypoint")],
        gateway_api.translate_service,
    )

    def translate_or_fail(reader: Any, mesh: Any, waypoint: WaypointName, *rest: Any) -> Any:
        if waypoint in faulty:
            raise ValueError("text of somebody")
        return translate(reader, mesh, waypoint, *rest)

    monkeypatch.setattr(gateway_api, "translate_service", translate_or_fail)
    with rig.store.attach(key(0), lambda: None), rig.store.attach(key(1), lambda: None):
        assert await rig.settle() == [(key(1), None)]
        assert rig.publisher.problems() == [
            "waypoint ns-0/waypoint: can't be translated: ValueError"
        ]
        rig.publisher.apply(put(worlds.route("ns-1", 2, 2, prefix="other")))
        assert [told for told, _ in await rig.settle()] == [key(1)]
        faulty.clear()
        rig.publisher.apply(put(worlds.route("ns-1", 2, 2, prefix="third")))
        assert {told for told, _ in await rig.settle()} == {key(0), key(1)}
        assert rig.publisher.problems() == []
