"""What fails between a cluster and us, one row of a table a test, under load and many times.

Two follow the same API server: a replica with a real waypoint, whose traffic must not notice, and
a source alone, of which every change is noted: none may be lost, and none made up.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.support.certs import CertFolder
from tests.support.controlplane import eventually
from tests.support.envoyproc import EnvoyProcess
from tests.support.fleet import EchoFleet
from tests.support.following import Following, following, httproute, pod, service
from tests.support.history import SERVICES, History, repeated, told, world
from tests.support.kubeapi import (
    Answer,
    CutMidLine,
    Delay,
    ErrorEvent,
    Fault,
    Garbage,
    HalfOpen,
    Identity,
    KubeApi,
)
from tests.support.kubeapi.faults import Action
from tests.support.load import Load
from tests.support.loopback import LoopbackNet
from tests.support.replica import Replica, replica
from tests.support.scene import UPDATES, in_sync, scene
from translators.resources.core import Service

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.long]

RUNS = 20
_REST_S = 0.7  # so that a watch has lasted long enough to count as healthy before the next harm
FIRST_HOST = 161
_FOLLOWERS = 2


@dataclass
class Trial:
    """What a row may do harm to, and where it gets its chances from."""

    api: KubeApi
    history: History
    follow: Following
    replica: Replica
    kubeconfigs: tuple[Path, ...]
    chance: random.Random = field(default_factory=random.Random)

    def write(self, most: int = 8) -> None:
        for _ in range(self.chance.randrange(1, most)):
            self.history.write(self.chance)

    def fault(self, action: Action, verb: str = "watch", resource: str = "services") -> None:
        self.api.faults.add(Fault(action, verb, resource, times=self.chance.randrange(1, 3)))

    async def pause(self, most: float = 0.5) -> None:
        await asyncio.sleep(self.chance.random() * most)

    async def healed(self) -> None:
        """Wait until both followers see what there is, and nothing is wrong any more."""
        self.api.faults.clear()
        await self.follow.until(lambda: world(self.follow) == self.history.now(), 60)
        await eventually(lambda: self._replica_sees() == self.history.now(), timeout_s=60)
        assert told(self.follow) <= self.history.ever
        assert not any(repeated(self.follow))

    def _replica_sees(self) -> set[tuple[str, str, object]]:
        objects = self.replica.server._compiler._world.objects()
        services = (each for each in objects if isinstance(each, Service))
        return {(each.meta.name, each.meta.uid, each.ports[0].port) for each in services}


async def gone(trial: Trial) -> None:
    """The API server is away, and gets no more than a few requests a second meanwhile."""
    with _Attempts() as attempts:
        begin = time.monotonic()
        await trial.api.stop()
        trial.write()
        await trial.pause(2.0)
        trial.write()
        took = time.monotonic() - begin
    assert attempts.count <= _FOLLOWERS * (10 + 5 * took)
    await trial.api.start()


async def expired(trial: Trial) -> None:
    """410, as an answer or as an event."""
    gone_since = (Answer(410, "Expired"), ErrorEvent(410, "Expired", trial.chance.randrange(3)))
    trial.fault(trial.chance.choice(gone_since))
    trial.api.reset_connections()
    trial.write()
    await trial.pause()
    trial.write()


async def quiet(trial: Trial) -> None:
    """Other kinds change until a quiet kind's place in the log is gone, but for bookmarks."""
    for index in range(60):
        trial.api.put(pod(f"p{index % 5}", trial.chance.choice(["Running", "Pending"])))
        await asyncio.sleep(0.01)
    trial.api.reset_connections()
    trial.write()


async def half_open(trial: Trial) -> None:
    """A connection that says nothing any more."""
    trial.fault(HalfOpen(after=trial.chance.randrange(3)))
    trial.api.reset_connections()
    trial.write()
    await trial.pause()
    trial.write()


async def begun(trial: Trial) -> None:
    """Another one begins meanwhile: it has all kinds before it says so."""
    slow = trial.chance.choice(["services", "httproutes", "pods"])
    trial.api.faults.add(Fault(Delay(0.3), "*", slow))
    async with following(trial.api, until_synced=False, kubeconfig=trial.kubeconfigs[0]) as other:
        trial.write()
        await other.until(lambda: other.times_synced == 1, 30)
        assert {"a-route", "quiet"} <= set(other.names("HTTPRoute")) | set(other.names("Service"))
    trial.write()


async def between_pages(trial: Trial) -> None:
    """A list that has to be read again, and expires between its pages."""
    await trial.api.stop()
    trial.write()
    trial.api.store.compact()
    skipped, hit = Fault(Delay(0), "list", "services"), Answer(410, "Expired")
    trial.api.faults.add(skipped, Fault(hit, "list", "services", times=2))
    await trial.api.start()
    trial.write()


async def overloaded(trial: Trial) -> None:
    """429 and 5xx, with and without the wish for a pause."""
    pause = trial.chance.choice([None, 0, 1])
    trial.fault(Answer(trial.chance.choice([429, 500, 503]), "Busy", retry_after=pause), "*", "*")
    trial.api.reset_connections()
    trial.write()
    await trial.pause()
    trial.write()


async def forbidden(trial: Trial) -> None:
    """One kind may not be read for a while; the others go on."""
    trial.api.access.forbid("*", "services")
    trial.api.reset_connections()
    trial.write()
    trial.api.put(httproute("a-route", host=f"h{trial.chance.randrange(9)}.example"))
    await trial.pause(1.0)
    trial.api.access.permit("*", "services")


async def restored(trial: Trial) -> None:
    """The server was restored from a backup: its versions go back."""
    await trial.api.stop()
    trial.api.store.restore(trial.chance.randrange(10, 900))
    trial.write()
    await trial.api.start()
    trial.write()


async def made_anew(trial: Trial) -> None:
    """Objects are deleted and created again under their names while nobody looks."""
    await trial.api.stop()
    for name in trial.chance.sample("abcdefgh", 3):
        if trial.api.store.get(SERVICES, ("default", name)) is not None:
            trial.api.remove(service(name))
        trial.api.put(service(name, port=trial.chance.randrange(1, 65536)))
    trial.history.ever |= trial.history.now()
    if trial.chance.random() < 0.5:
        trial.api.store.compact()
    await trial.api.start()


async def shuffled(trial: Trial) -> None:
    """Kinds change across each other, on watches that are cut in between."""
    for _ in range(10):
        trial.write(3)
        trial.api.put(httproute("a-route", host=f"h{trial.chance.randrange(9)}.example"))
        if trial.chance.random() < 0.3:
            trial.api.reset_connections()
        await trial.pause(0.02)


async def malformed(trial: Trial) -> None:
    """An object that no server should have, and answers that are cut or no JSON."""
    stored = trial.api.put(service("bad", port=1))
    trial.history.ever |= trial.history.now()
    trial.api.store.put(SERVICES, stored | {"spec": {"ports": [{"port": "http"}]}})
    trial.fault(trial.chance.choice([Garbage(), CutMidLine(), CutMidLine(after=1)]))
    trial.api.reset_connections()
    await trial.pause()
    trial.api.remove(service("bad"))
    trial.write()


async def rotated(trial: Trial) -> None:
    """Tokens are replaced, and those before them count no more."""
    token = f"token-{trial.chance.random()}"
    trial.api.access.require_token = True
    trial.api.access.tokens = {token: Identity("waypost", groups=("system:masters",))}
    trial.api.reset_connections()
    trial.write()
    await trial.pause()
    for path in trial.kubeconfigs:
        trial.api.write_kubeconfig(path, token)


ROWS: tuple[Callable[[Trial], Awaitable[None]], ...] = (
    *(gone, expired, quiet, half_open, begun, between_pages, overloaded, forbidden),
    *(restored, made_anew, shuffled, malformed, rotated),
)


class _Attempts:
    """Counts how often anybody here turns to an API server."""

    def __init__(self) -> None:
        self.count = 0
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> "_Attempts":
        connect = aiohttp.TCPConnector.connect

        async def count_and_connect(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            return await connect(*arguments, **options)

        self._patch.setattr(aiohttp.TCPConnector, "connect", count_and_connect)
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


@dataclass
class Watched:
    """A trial, the load that goes on all the time, and the Envoy that carries it."""

    trial: Trial
    load: Load
    envoy: EnvoyProcess
    before: dict[str, int]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[True, False])
async def watched(
    request: pytest.FixtureRequest,
    net: LoopbackNet,
    fleet: EchoFleet,
    certs: CertFolder,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Watched]:
    """Once with streamed lists, once with pages."""
    folder = tmp_path_factory.mktemp("rows")
    host = FIRST_HOST + 10 * (not request.param)
    options = {"watch_list": request.param, "log_size": 200, "bookmarks_s": 0.1}
    async with (
        scene(net, fleet, certs, folder, host, **options) as at,
        _trial(at.api, certs, folder) as trial,
    ):
        at.front.backends = [trial.replica.addresses.xds]
        async with await EnvoyProcess.start(at.bootstrap, folder, "waypoint") as envoy:
            await eventually(lambda: in_sync(trial.replica))
            async with Load(at.tunnel, rate=20, tunnels=2, limit_s=1200) as load:
                await eventually(lambda: len(load.outcome.samples) > 5)
                yield Watched(trial, load, envoy, await envoy.stats(UPDATES))


@asynccontextmanager
async def _trial(api: KubeApi, certs: CertFolder, folder: Path) -> AsyncIterator[Trial]:
    api.put(httproute("a-route"))
    api.put(service("quiet"))
    history = History(api)
    history.ever |= history.now()
    path = api.write_kubeconfig(folder / "kubeconfig-follow")
    async with (
        replica(api, folder, certs.authority) as one,
        following(api, "services", kubeconfig=path) as follow,
    ):
        yield Trial(api, history, follow, one, (path, folder / "kubeconfig-a"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.__name__)
async def test_row(watched: Watched, row: Callable[[Trial], Awaitable[None]]) -> None:
    trial = watched.trial
    failed = len(watched.load.outcome.failures)
    for seed in range(RUNS // 2):  # and as many with the other way to list
        trial.chance = random.Random(f"{row.__name__}-{seed}")
        trial.follow.changes.clear()
        await row(trial)
        await trial.healed()
        await asyncio.sleep(_REST_S)
    assert len(watched.load.outcome.failures) == failed == 0
    assert await watched.envoy.stats(UPDATES) == watched.before
