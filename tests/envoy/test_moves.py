"""A service moves from waypoint to waypoint and back: nobody who asks for it is to notice.

Clients learn of each move a little later than the waypoints do, as ztunnels would.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from tests.support.controlplane import ControlPlane, eventually
from tests.support.hbone import ConnectRefusedError
from tests.support.load import Load
from tests.support.manifests import WAYPOINT, Manifest
from tests.support.mesh import DRAIN_S, Mesh, Offer
from tests.support.stream import ByteStream

pytestmark = pytest.mark.asyncio(loop_scope="session")

LINGER_S = 0.5
LEARNING_S = 0.1


class Clients:
    """Callers that go through the waypoint that they know of, which they are told."""

    def __init__(self, first: Mesh, web: Offer) -> None:
        self.known = first
        self.web = web
        self.outcomes: Counter[str] = Counter()

    async def open(self) -> ByteStream:
        return await self.known.tunnel(self.web.http)

    async def ask_anew(self) -> None:
        """One request after the other, each through a tunnel of its own."""
        while True:
            try:
                answer = await self.known.get(self.web.http)
                self.outcomes[str(answer.status)] += 1
            except (ConnectRefusedError, ConnectionError, EOFError) as error:
                self.outcomes[repr(error)] += 1
            await asyncio.sleep(0.01)


def at(web: Offer, home: str) -> Manifest:
    """The service, which asks for the waypoint of such a namespace."""
    manifest: dict[str, Any] = dict(web.manifest)
    labels = {"istio.io/use-waypoint": WAYPOINT, "istio.io/use-waypoint-namespace": home}
    return {**manifest, "metadata": {**manifest["metadata"], "labels": labels}}


@pytest.mark.parametrize("moves", [20, pytest.param(200, marks=pytest.mark.long)])
@pytest.mark.timeout(300)
async def test_moved_under_load(mesh: Mesh, bank: Mesh, plane: ControlPlane, moves: int) -> None:
    web, other = mesh.offer("moving"), mesh.offer("passing")
    await bank.serve(allowed="All")
    await mesh.put("moving", at(web, mesh.home))
    clients = Clients(mesh, web)
    with plane.lingering(LINGER_S, DRAIN_S + 1):
        fresh = asyncio.create_task(clients.ask_anew())
        async with Load(clients.open, rate=100, tunnels=4, limit_s=280) as load:
            for number in range(moves):
                target = (bank, mesh)[number % 2]
                mesh.folder.put("moving", at(web, target.home))
                await plane.until_obeyed([at(web, target.home)], by=target.name)
                await asyncio.sleep(LEARNING_S)
                clients.known = target
                if number % 5 == 0:  # long enough for the old waypoint to forget it
                    await asyncio.sleep(LINGER_S + LEARNING_S)
                if number % 2:
                    await mesh.put("passing", other.manifest)
                    await mesh.remove("passing", other.manifest)
        fresh.cancel()
        with suppress(asyncio.CancelledError):
            await fresh
    assert load.outcome.failures == []
    assert set(load.outcome.statuses) == {200}
    assert set(clients.outcomes) == {"200"}
    assert load.outcome.statuses[200] + clients.outcomes["200"] > 10 * moves
    await mesh.put("moving", web.manifest)
    await bank.serve()


async def test_the_old_waypoint_forgets_it_in_the_end(
    mesh: Mesh, bank: Mesh, plane: ControlPlane
) -> None:
    web = mesh.offer("leaving")
    await bank.serve(allowed="All")
    await mesh.put("leaving", web.manifest)
    with plane.lingering(LINGER_S, LINGER_S):
        await mesh.put("leaving", at(web, bank.home))
        assert (await mesh.get(web.http)).status == 200
        assert (await bank.get(web.http)).status == 200
        await eventually(lambda: not plane.server._compiler.leaving(mesh.name))
        await plane.until_obeyed(by=mesh.name)
        await mesh.put("nudge", mesh.offer("nudge").manifest)  # and let the worker turn
        with pytest.raises(ConnectRefusedError) as refusal:
            await mesh.get(web.http)
        assert refusal.value.status == 404
        assert (await bank.get(web.http)).status == 200
    await bank.serve()


async def test_what_is_gone_or_refused_is_not_answered_for(
    mesh: Mesh, bank: Mesh, plane: ControlPlane
) -> None:
    web, other = mesh.offer("gone"), mesh.offer("refused")
    await mesh.put("gone", web.manifest)
    await mesh.put("refused", other.manifest)
    with plane.lingering(60, 60):
        await mesh.remove("gone", web.manifest)
        await mesh.put("refused", at(other, bank.home))  # whose allowedRoutes say Same
        for gone in (web, other):
            with pytest.raises(ConnectRefusedError):
                await mesh.get(gone.http)


async def test_a_canary_answers_as_the_first_waypoint_does(mesh: Mesh, bank: Mesh) -> None:
    web = mesh.offer("canary")
    both: dict[str, Any] = dict(web.manifest)
    labels = {
        "istio.io/use-waypoint": WAYPOINT,
        "istio.io/use-waypoint-canary": WAYPOINT,
        "istio.io/use-waypoint-canary-namespace": bank.home,
    }
    both["metadata"] = {**both["metadata"], "labels": labels}
    await bank.serve(allowed="All")
    await mesh.put("canary", both)
    await mesh.plane.until_obeyed(by=bank.name)
    for one in (mesh, bank):
        answer = await one.get(web.http)
        assert answer.json()["pod"] == mesh.pods.v1.ip
        async with await one.tunnel(web.tcp) as tunnel:
            await tunnel.write(b"ping")
            assert await tunnel.readexactly(4) == b"ping"
    await bank.serve()
    with pytest.raises(ConnectRefusedError):
        await bank.get(web.http)
    assert (await mesh.get(web.http)).status == 200
