"""Deploys waypoints, while this replica leads."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from translators.deployment import DeploymentSettings, InvalidParameters, prepare
from translators.ir.condition import Condition
from translators.ir.origin import Origin
from translators.ir.waypoint import Mesh
from translators.resources.gateway import Gateway, GatewayClass
from translators.resources.metadata import ObjectKey
from xds_server.deployment.jobs import Job, Planner, Wishes
from xds_server.deployment.parameters import AGAIN_S, Parameters
from xds_server.deployment.shelf import Shelf
from xds_server.deployment.workshop import HandsOff, Workshop
from xds_server.sources.kubernetes import backoff
from xds_server.sources.kubernetes.transport import TransportError
from xds_server.sources.source import Source
from xds_server.status import Leader, Objects
from xds_server.status.backlog import Backlog, Bucket
from xds_server.status.breather import Breather
from xds_server.status.leader import CONFIRM_S
from xds_server.status.objects import Refused
from xds_server.status.trouble import Trouble

_log = structlog.get_logger(__name__)

_GATHER_S = 0.2  # changes that come within this time are looked at together
_RATE = 10.0  # waypoints a second
_BURST = 20

_CLASSES = "/apis/gateway.networking.k8s.io/v1/gatewayclasses"


Ask = Callable[[], Wishes]
"""What is wanted now."""


class Deployer:
    """Keeps the objects of all waypoints as they should be.

    A new leader compares what is there with what is wanted, and writes only what differs. What
    can't be written holds up nothing else, and is tried again, ever more seldom.
    """

    def __init__(
        self,
        objects: Objects,
        leader: Leader,
        source: Source,
        mesh: Mesh,
        settings: DeploymentSettings,
    ) -> None:
        prepare(mesh, settings)  # now, while nobody waits for this thread
        self._leader = leader
        self._source = source
        self._changed = asyncio.Event()
        self._synced = asyncio.Event()
        self._shelf = Shelf(self._changed.set)
        self._workshop = Workshop(objects, self._shelf)
        self._parameters = Parameters(objects, mesh.root_namespace)
        self._planner = Planner(mesh, settings, self._parameters)
        self._backlog = Backlog()
        self._bucket = Bucket(_RATE, _BURST)
        self._jobs: dict[ObjectKey, Job] = {}
        self._verdicts: dict[ObjectKey, Condition] = {}
        self._trouble = Trouble(objects.transport)
        self._look_at = float("-inf")
        self._tell: Callable[[], None] = lambda: None

    def wake(self) -> None:
        """Something else may be wanted."""
        self._changed.set()

    @property
    def writes(self) -> int:
        """How many objects were applied, created and deleted so far."""
        return self._workshop.writes

    def problems(self) -> list[str]:
        """What can't be deployed, and why."""
        problem = self._trouble.problem
        general = [f"waypoints can't be deployed: {problem}"] if problem else []
        followed = [f"deployed objects: {each}" for each in self._source.problems()]
        told = [
            f"{verdict.origin}: {verdict.message}" for _, verdict in sorted(self._verdicts.items())
        ]
        return [*general, *followed, *told]

    def conditions(self) -> list[Condition]:
        """What is to be said about Gateways that are not deployed as they should be."""
        return [each for key, each in self._verdicts.items() if key.kind == Gateway.kind]

    async def run(self, wishes: Ask, tell: Callable[[], None]) -> None:
        """Deploy until cancelled; ``tell`` is called when ``conditions`` are others.

        Raises nothing: proxies are served whatever happens here.
        """
        self._tell = tell
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._source.run(self._shelf.take, self._synced.set))
            tasks.create_task(self._deploy(wishes), name="deploy")

    async def _deploy(self, wishes: Ask) -> None:
        await self._synced.wait()
        while True:
            await self._leader.elected()
            self._look_at = float("-inf")
            try:
                await self._lead(wishes)
            except (Refused, TransportError) as error:
                await self._trouble.pause(error)
            except Exception as error:
                # Users have their routes served, even if we can't deploy them more waypoints.
                _log.exception("waypoints can't be deployed")
                await self._trouble.pause(error)

    async def _lead(self, wishes: Ask) -> None:
        """Put right what differs; returns when this replica leads no more."""
        while self._leader.leads:
            now = time.monotonic()
            is_due = now >= self._look_at
            if is_due or self._changed.is_set():
                self._changed.clear()
                await self._look(wishes(), thoroughly=is_due)
                self._look_at = now + AGAIN_S if is_due else self._look_at
            elif (key := self._backlog.next(now)) is None:
                await self._rest()
            elif await self._leader.confirm():
                await asyncio.sleep(self._bucket.take(time.monotonic()))
                await self._try(key)

    async def _rest(self) -> None:
        """Wait for something to do, but not long enough to miss that another leads."""
        until = min(self._backlog.next_due(), self._look_at) - time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min(CONFIRM_S, until))):
                await self._changed.wait()
                await asyncio.sleep(_GATHER_S)

    async def _look(self, wishes: Wishes, *, thoroughly: bool) -> None:
        """Find what is not as it should be: among all jobs, or those that may differ by now."""
        await self._parameters.refresh(wishes.gateways)
        self._trouble.end()
        touched = self._shelf.touched()
        before, self._jobs = self._jobs, await self._plan(wishes)
        for key in before.keys() - self._jobs.keys():
            self._backlog.remove(key)
        breather = Breather()
        for key, job in self._jobs.items():
            is_new = before.get(key) is not job
            if is_new:
                self._backlog.remove(key)  # what failed was something else
            if is_new or thoroughly or not touched.isdisjoint(job.names):
                self._compare(key, job)
            await breather.breathe()

    async def _plan(self, wishes: Wishes) -> dict[ObjectKey, Job]:
        """All that is to be done. What can't be wanted is judged."""
        jobs, bad = {}, set()
        breather = Breather()
        for key, job in self._planner.jobs(wishes):
            if isinstance(job, InvalidParameters):
                bad.add(key)
                self._judge(key, "Accepted", "InvalidParameters", str(job))
            else:
                jobs[key] = job
            await breather.breathe()
        for key in self._verdicts.keys() - jobs.keys() - bad:
            self._acquit(key)
        return jobs

    def _compare(self, key: ObjectKey, job: Job) -> None:
        if key.kind != GatewayClass.kind and self._workshop.is_right(job.wanted, job.owner):
            self._backlog.remove(key)
            self._acquit(key)
        else:
            self._backlog.add(key)

    async def _try(self, key: ObjectKey) -> None:
        """Put the objects of one job right, and note what came of it."""
        job = self._jobs[key]
        try:
            if key.kind == GatewayClass.kind:
                await self._workshop.create(_CLASSES, job.wanted[0])
            else:
                await self._workshop.put_right(job.wanted, job.owner)
        except HandsOff as error:
            self._put_off(key, "NotManaged", error)
        except Refused as error:
            self._put_off(key, "Refused", error)
            if error.is_overloaded:
                await self._trouble.pause(error)
        except TransportError as error:
            self._put_off(key, "Refused", error)
            await self._trouble.pause(error)
        else:
            self._backlog.remove(key)
            self._acquit(key)

    def _put_off(self, key: ObjectKey, reason: str, error: Exception) -> None:
        pause = backoff.delay(self._backlog.fail(key), random.random())  # noqa: S311
        self._backlog.postpone(key, time.monotonic() + pause)
        if not (isinstance(error, Refused) and error.code == 409):  # somebody else was faster
            self._judge(key, "waypost.dev/Deployed", reason, str(error))

    def _judge(self, key: ObjectKey, kind: str, reason: str, message: str) -> None:
        verdict = Condition(Origin(*key), kind, False, reason, message)
        if self._verdicts.get(key) != verdict:
            self._verdicts[key] = verdict
            self._tell()

    def _acquit(self, key: ObjectKey) -> None:
        if self._verdicts.pop(key, None) is not None:
            self._tell()
