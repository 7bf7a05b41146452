"""The server of a benchmark: everything but a source of objects, in this process."""

import asyncio
import gc
import os
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from selectors import DefaultSelector, SelectorKey
from typing import Any, TypeVar

from translators.compiler import Compiler
from translators.ir.secret import Certificate, TrustBundle
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.metadata import KubernetesObject
from translators.world import Change
from translators.xds.names import ROOTS, SVID
from xds_server.ads import AdsLimits, AdsServer, AdsService
from xds_server.identity.peer import LoopbackAuthenticator
from xds_server.serving.collector import Collector
from xds_server.serving.publisher import Publisher
from xds_server.snapshots import SnapshotStore

_SAMPLE = 0.005
T = TypeVar("T")

_turns: list[float] = []  # of the loop of ``turn_by_turn``
NO_BUCKETS = AdsLimits(new_streams_per_second=1e6, new_streams_burst=1_000_000)


class _Turns(DefaultSelector):
    """Notes the processor time of each turn of the loop, which is all between two waits, in ms."""

    def __init__(self) -> None:
        super().__init__()
        self._woke = time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Wait, as every turn begins and ends."""
        _turns.append(1000 * (time.thread_time() - self._woke))
        try:
            return super().select(timeout)
        finally:
            self._woke = time.thread_time()


def turn_by_turn(work: Coroutine[Any, Any, T]) -> T:
    """Run it as ``asyncio.run`` does, on a loop whose turns are measured."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(_Turns())) as runner:
        return runner.run(work)


@dataclass(slots=True)
class Pauses:
    """How long the loop and the garbage collector kept everything else waiting, in ms.

    The lag of the loop is wall time, with what other threads and processes take of the machine
    meanwhile; a turn is the processor time of what the loop does from one wait to the next.
    """

    lags: list[float] = field(default_factory=list)
    collections: list[float] = field(default_factory=list)
    _began: float = 0.0

    async def watch(self) -> None:
        """Sample for ever."""
        gc.callbacks.append(self._collected)
        try:
            while True:
                due = time.perf_counter() + _SAMPLE
                await asyncio.sleep(_SAMPLE)
                self.lags.append(1000 * (time.perf_counter() - due))
        finally:
            gc.callbacks.remove(self._collected)

    def _collected(self, phase: str, _: object) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self.collections.append(1000 * (time.perf_counter() - self._began))

    def take(self) -> dict[str, float]:
        """The figures since the last time."""
        figures = {
            "loop_lag_p999_ms": quantile(self.lags, 0.999),
            "loop_lag_max_ms": round(max(self.lags, default=0.0), 2),
            "turn_p999_ms": quantile(_turns, 0.999),
            "turn_max_ms": round(max(_turns, default=0.0), 2),
            "gc_pause_max_ms": round(max(self.collections, default=0.0), 2),
        }
        self.lags.clear()
        self.collections.clear()
        _turns.clear()
        return figures


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which that share of the values is; 0 if there are none."""
    found = sorted(values)
    return round(found[min(len(found) - 1, int(share * len(found)))], 3) if found else 0.0


def rss_mib() -> float:
    """What this process holds in memory."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1024, 1)


def processor_s(pid: int) -> float:
    """The processor time that a process has taken so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def secrets(_: WaypointName, account: str) -> tuple[Certificate, TrustBundle]:
    """Secrets of the usual size; no client of a benchmark looks into them."""
    text = f"-----BEGIN CERTIFICATE-----\n{account:x<900}\n-----END CERTIFICATE-----\n".encode()
    return Certificate(SVID, text, text[:240]), TrustBundle(ROOTS, text)


class Plane:
    """Compiler, publisher, store and ADS service. ``change`` returns when it was taken in."""

    def __init__(self) -> None:
        self.compiler = Compiler(Mesh())
        self.store = SnapshotStore()
        self.collector = Collector()
        self.publisher = Publisher(self.compiler, self.store, secrets, self.collector.spare)
        self.service = AdsService(self.store, LoopbackAuthenticator(), NO_BUCKETS)
        self.pauses = Pauses()
        self.address = ""

    def change(self, *objects: KubernetesObject) -> float:
        """Let the world change; the time at which it began to."""
        at = time.monotonic()
        self.publisher.apply([Change(found.key, found) for found in objects])
        return at


@asynccontextmanager
async def serving(plane: Plane) -> AsyncIterator[None]:
    """Serve on a free port of loopback."""
    server = AdsServer(plane.service)
    plane.address = f"127.0.0.1:{server.listen_plaintext('127.0.0.1:0')}"
    await server.start()
    tasks = [
        asyncio.create_task(plane.publisher.run()),
        asyncio.create_task(plane.pauses.watch()),
        asyncio.create_task(plane.collector.run()),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.stop(grace=0.5)
