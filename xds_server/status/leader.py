"""Takes part in an election, and knows whether it is won."""

import asyncio
import random
import time
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from xds_server.sources.kubernetes.transport import TransportError
from xds_server.status.election import SPEC_VERSION, Election, Record, Terms
from xds_server.status.objects import Manifest, Objects, Refused

_log = structlog.get_logger(__name__)

CONFIRM_S = 1.0
"""Before a write the lease is read again if that was longer ago."""

_RELEASE_WITHIN = 2.0  # seconds: a shutdown doesn't wait for an API server that is away


class Leader:
    """One replica of those that share the Lease ``namespace/name``.

    Only leading depends on the API server: whatever happens to it, ``run`` goes on.
    """

    def __init__(
        self,
        objects: Objects,
        namespace: str,
        name: str,
        identity: str,
        terms: Terms = Terms(),  # noqa: B008  # frozen
    ) -> None:
        self._objects = objects
        self._name = name
        self._namespace = namespace
        self._collection = f"/apis/{SPEC_VERSION}/namespaces/{namespace}/leases"
        self._election = Election(identity, terms)
        self._confirmed_at = float("-inf")
        self._led = False
        self._won = asyncio.Event()
        self.problem = ""

    @property
    def leads(self) -> bool:
        """Whether this replica may write now."""
        return self._election.leads(time.monotonic())

    @property
    def holder(self) -> str:
        """The identity of the replica that leads, as far as known; empty for none."""
        record = self._election.record
        return record.holder if record else ""

    async def elected(self) -> None:
        """Return when this replica leads."""
        while not self.leads:
            self._won.clear()
            await self._won.wait()

    async def confirm(self) -> bool:
        """Whether the lease still names this replica, as of ``CONFIRM_S`` ago at most.

        Raises ``Refused`` or ``TransportError`` if the API server does not say.
        """
        now = time.monotonic()
        if self.leads and now - self._confirmed_at > CONFIRM_S:
            await self._read()
            self._confirmed_at = now
        return self.leads

    async def run(self) -> None:
        """Be a candidate until cancelled, then give the lease back."""
        terms = self._election.terms
        try:
            while True:
                await self._campaign()
                await asyncio.sleep(terms.retry * random.uniform(0.8, 1.2))  # noqa: S311
        finally:
            await self._release()

    async def _campaign(self) -> None:
        try:
            async with asyncio.timeout(self._election.terms.deadline):
                await self._read()
                if self._election.may_take(time.monotonic()):
                    await self._take()
            self.problem = ""
        except Refused as refused:
            if refused.code != 409:  # somebody was faster: the next look tells who
                self.problem = str(refused)
        except (TransportError, TimeoutError) as error:
            self.problem = str(error) or "does not answer"
        except Exception as error:
            # Nothing that an API server may say is a reason to stop serving proxies.
            _log.exception("the lease can't be used")
            self.problem = f"the lease can't be used: {error}"
        self._tell()

    async def _read(self) -> None:
        try:
            found = await self._objects.get(f"{self._collection}/{self._name}")
        except Refused as refused:
            if refused.code != 404:
                raise
            self._election.observe(None, time.monotonic())
        else:
            self._election.observe(Record.read(found), time.monotonic())

    async def _take(self) -> None:
        asked_at = time.monotonic()
        stored = await self._write(self._election.claim(_now()))
        self._election.win(Record.read(stored), asked_at)
        self._won.set()

    async def _write(self, spec: Manifest) -> Manifest:
        known = self._election.record
        metadata = {"name": self._name, "namespace": self._namespace}
        lease = {"apiVersion": SPEC_VERSION, "kind": "Lease", "metadata": metadata, "spec": spec}
        if known is None:
            return await self._objects.create(self._collection, lease)
        metadata["resourceVersion"] = known.version
        return await self._objects.replace(f"{self._collection}/{self._name}", lease)

    async def _release(self) -> None:
        if not self.leads:
            return
        with suppress(Refused, TransportError, TimeoutError):
            async with asyncio.timeout(_RELEASE_WITHIN):
                await self._write(self._election.release(_now()))
        self._election.lose()

    def _tell(self) -> None:
        if self._led != self.leads:
            self._led = self.leads
            _log.info("leads" if self._led else "follows", identity=self._election.identity)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
