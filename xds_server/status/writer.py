"""Writes to a cluster what is to be said about its objects."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b

import msgspec
import structlog

from translators.resources.metadata import ObjectKey
from translators.status import ObjectStatus
from xds_server.sources.kubernetes import backoff
from xds_server.sources.kubernetes.kinds import RESOURCES, Resource
from xds_server.sources.kubernetes.transport import TransportError
from xds_server.status.backlog import Backlog, Bucket
from xds_server.status.breather import Breather
from xds_server.status.leader import CONFIRM_S, Leader
from xds_server.status.merge import MANAGER, Malformed, merge
from xds_server.status.objects import Manifest, Objects, Refused
from xds_server.status.trouble import Trouble

_log = structlog.get_logger(__name__)

Statuses = Callable[[], Iterable[ObjectStatus | None]]
"""What is to be said now, about every object; the times in it don't count.

Each item, of which some are None, took only a little work.
"""

WRITTEN = tuple(
    each
    for each in RESOURCES
    if each.kind
    in {
        *("Service", "GatewayClass", "Gateway", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"),
        *("AuthorizationPolicy", "RequestAuthentication"),
        *("ServiceEntry", "WorkloadEntry"),
    }
)
"""The resources whose status is written."""

_RESOURCES = {each.kind: each for each in WRITTEN}
_GATHER_S = 0.2  # changes that come within this time are written together
_SURVEY_S = 600.0  # what others did to our words is put right after this time
_RATE = 80.0  # objects a second: as many as istiod allows itself by default
_BURST = 160
_ATTEMPTS = 3  # to hear all that is to be said before it changes


class StatusWriter:
    """Keeps the status of all objects as it should be, while this replica leads.

    What was written is remembered by its digest, so that objects about which nothing new is to
    be said cost nothing. A new leader lists all objects once, and writes only what differs.
    """

    def __init__(self, objects: Objects, leader: Leader) -> None:
        self.objects = objects
        self.leader = leader
        self._changed = asyncio.Event()
        self._backlog = Backlog()
        self._bucket = Bucket(_RATE, _BURST)
        self._said: Mapping[ObjectKey, ObjectStatus] = {}
        self._written: dict[ObjectKey, bytes] = {}
        self._versions: dict[str, str] = {}
        self._problems: dict[ObjectKey, str] = {}
        self._trouble = Trouble(objects.transport)
        self._ours: set[ObjectKey] = set()
        self._compare_after = 0.0
        self.writes = 0
        self.refusals = 0

    def wake(self) -> None:
        """Something else may be to be said."""
        self._changed.set()

    @property
    def waiting(self) -> int:
        """How many objects wait for a write."""
        return len(self._backlog)

    def problems(self) -> list[str]:
        """What could not be written, and why; tried again all the time."""
        general = [self._trouble.problem, self.leader.problem]
        found = [f"status can't be written: {problem}" for problem in general if problem]
        told = sorted(self._problems.items())
        return [*found, *(f"status of {_show(key)}: {problem}" for key, problem in told)]

    async def run(self, statuses: Statuses) -> None:
        """Write until cancelled. Raises nothing: proxies are served whatever happens here."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.leader.run(), name="leader")
                tasks.create_task(self._write(statuses), name="status")
        finally:
            await self.objects.close()

    async def _write(self, statuses: Statuses) -> None:
        while True:
            await self.leader.elected()
            try:
                await self._lead(statuses)
            except (Refused, TransportError) as error:
                await self._trouble.pause(error)
            except Exception as error:
                # Users have their routes served, even if we can't tell them so.
                _log.exception("status can't be written")
                await self._trouble.pause(error)

    async def _lead(self, statuses: Statuses) -> None:
        """Write all that differs; returns when this replica leads no more."""
        until = time.monotonic() + _SURVEY_S
        await self._listen(statuses)
        await self._survey()
        self._trouble.problem = ""
        while self.leader.leads and (now := time.monotonic()) < until:
            key = self._backlog.next(now)
            if self._changed.is_set() and now >= self._compare_after:
                await self._listen(statuses)
                await self._compare()
            elif key is None:
                await self._rest()
            elif await self._is_confirmed():
                await asyncio.sleep(self._bucket.take(time.monotonic()))
                await self._try(key)

    async def _rest(self) -> None:
        """Wait for something to do, but not long enough to miss that another leads."""
        due = self._backlog.next_due() - time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min(CONFIRM_S, due))):
                await self._changed.wait()
                pause = self._compare_after - time.monotonic()
                await asyncio.sleep(max(_GATHER_S, pause))

    async def _is_confirmed(self) -> bool:
        """Whether this replica still leads, as of a moment ago; a pause if that can't be told."""
        try:
            return await self.leader.confirm()
        except (Refused, TransportError) as error:
            await self._trouble.pause(error)
            return False

    async def _listen(self, statuses: Statuses) -> None:
        """Take what is to be said now, with a pause after it ten times as long as it took.

        If that changes meanwhile it is taken again, but not for ever.
        """
        begin = time.monotonic()
        for _ in range(_ATTEMPTS):
            self._changed.clear()
            self._said = await _by_key(statuses())
            if not self._changed.is_set():
                break
        end = time.monotonic()
        self._compare_after = end + 10 * (end - begin)

    async def _compare(self) -> None:
        """Find the objects about which something else is to be said than was written."""
        breather = Breather()
        for key in [*self._said, *(self._written.keys() - self._said.keys())]:
            if self._written.get(key) == _digest(self._said.get(key)):
                self._backlog.remove(key)
            else:
                self._backlog.add(key)
            await breather.breathe()

    async def _survey(self) -> None:
        """Compare what is to be said with what all objects say, as they are in the cluster."""
        self._written.clear()
        self._backlog.clear()
        self._problems.clear()
        breather = Breather()
        for resource in WRITTEN:
            async for live in self._list(resource):
                metadata = live["metadata"]
                key = ObjectKey(resource.kind, metadata.get("namespace", ""), metadata["name"])
                live |= {"kind": resource.kind, "apiVersion": self._api_version(resource)}
                if self._says_it(key, live):
                    self._note(key, _digest(self._said.get(key)))
                else:
                    self._backlog.add(key)
                await breather.breathe()
        self._changed.set()  # what was not listed, because that is forbidden or it is new

    def _note(self, key: ObjectKey, digest: bytes) -> None:
        """The object says what has this digest; an empty one if we say nothing about it."""
        if digest:
            self._written[key] = digest
            self._ours.add(key)
        else:
            self._forget(key)

    def _forget(self, key: ObjectKey) -> None:
        self._written.pop(key, None)
        self._ours.discard(key)

    async def _list(self, resource: Resource) -> AsyncIterator[Manifest]:
        """All objects of a kind, in the best version that the server has; none if it has none."""
        for version in resource.versions:
            self._versions[resource.kind] = version
            try:
                async for live in self.objects.all(resource.path(version)):
                    yield live
            except Refused as refused:
                if refused.code == 403:
                    return
                if refused.code != 404:
                    raise
            else:
                return

    async def _try(self, key: ObjectKey) -> None:
        """Write the status of one object, and note what came of it."""
        try:
            await self._put(key)
        except Refused as refused:
            self._put_off(key, refused)
            if refused.is_overloaded:
                await self._trouble.pause(refused)
        except Malformed as error:
            self._put_off(key, error)
        except TransportError as error:
            self._put_off(key, error)
            await self._trouble.pause(error)
        else:
            self._backlog.remove(key)
            self._problems.pop(key, None)
            self._trouble.end()

    def _put_off(self, key: ObjectKey, error: Refused | Malformed | TransportError) -> None:
        self.refusals += 1
        pause = backoff.delay(self._backlog.fail(key), random.random())  # noqa: S311
        self._backlog.postpone(key, time.monotonic() + pause)
        if not (isinstance(error, Refused) and error.code == 409):  # somebody else was faster
            self._problems[key] = str(error)

    async def _put(self, key: ObjectKey) -> None:
        """Read an object and write its status if that differs. What is gone has none."""
        digest = _digest(self._said.get(key))
        path = self._path(key)
        try:
            live = await self.objects.get(path)
            application = self._application(key, live)
            if application is not None:
                await self.objects.apply(f"{path}/status", application, MANAGER)
                self.writes += 1
        except Refused as refused:
            if refused.code != 404:
                raise
            self._forget(key)
        else:
            self._note(key, digest)

    def _says_it(self, key: ObjectKey, live: Manifest) -> bool:
        with suppress(Malformed):
            return self._application(key, live) is None
        return False

    def _application(self, key: ObjectKey, live: Manifest) -> Manifest | None:
        """What to apply to an object; None if nothing, or if it is not the one we speak about."""
        said = self._said.get(key)
        uid = said.subject.meta.uid if said else ""
        if said is not None and uid and uid != live["metadata"].get("uid"):
            return None  # deleted and created anew: it comes to us as a change
        status = said.status if said else None
        return merge(key.kind, live, status, _now(), is_ours=key in self._ours)

    def _path(self, key: ObjectKey) -> str:
        resource = _RESOURCES[key.kind]
        version = self._versions.get(key.kind, resource.versions[0])
        return resource.object_path(version, key.namespace, key.name)

    def _api_version(self, resource: Resource) -> str:
        return resource.api_version(self._versions[resource.kind])


async def _by_key(statuses: Iterable[ObjectStatus | None]) -> Mapping[ObjectKey, ObjectStatus]:
    said = {}
    breather = Breather()
    for each in statuses:
        if each is not None:
            said[each.subject.key] = each
        await breather.breathe()
    return said


def _digest(said: ObjectStatus | None) -> bytes:
    """What tells one thing said of one object from another; empty for nothing."""
    if said is None:
        return b""
    content = msgspec.json.encode((said.subject.meta.uid, said.status))
    return blake2b(content, digest_size=16).digest()


def _show(key: ObjectKey) -> str:
    return f"{key.kind} {'/'.join(filter(None, (key.namespace, key.name)))}"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
