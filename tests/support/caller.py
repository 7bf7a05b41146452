"""A client of one namespace's waypoint, as ztunnel is one: it knows which pods serve, and pools."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.hbone import HboneConnection
from tests.support.http1 import http1_request
from tests.support.kubeapi import KubeApi
from xds_server.demo.ztunnel import Address, SvidFiles, Waypoint

_HBONE = 15008
_NEWS_S = 0.3  # how old may be what it knows of pods


class Caller:
    """``asked`` counts answers by what they were: a status, or the name of an error."""

    def __init__(self, api: KubeApi, identity: str, svid: SvidFiles, root: Path) -> None:
        self.asked: Counter[str] = Counter()
        self.pods: set[str] = set()  # that have answered
        self._api = api
        self._identity = identity
        self._svid = svid
        self._root = root
        self._known: list[str] = []
        self._looked_at = float("-inf")
        self._pool: dict[str, HboneConnection] = {}
        self._opened: list[HboneConnection] = []
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._opened:
            await connection.__aexit__()

    async def get(self, authority: str, path: str, *, times: int = 1) -> None:
        """Ask some pod so many times through one tunnel, for as long as the answers let it."""
        pod = self._choose()
        try:
            connection = await self._connection(pod)
            async with await connection.connect(authority) as tunnel:
                for _ in range(times):
                    answer = await http1_request(tunnel, "GET", path)
                    self.asked[str(answer.status)] += 1
                    self.pods.add(pod)
                    if answer.header("connection") == "close":
                        break
                    await asyncio.sleep(0.1)
        except Exception as error:  # whatever it is, a user would have met it
            self.asked[f"{type(error).__name__}: {error} at {pod}"] += 1

    def _choose(self) -> str:
        if time.monotonic() - self._looked_at > _NEWS_S:
            self._looked_at = time.monotonic()
            slices = self._api.store.all(("discovery.k8s.io", "endpointslices"))
            self._known = [
                each["addresses"][0]
                for piece in slices
                if piece["metadata"]["labels"]["kubernetes.io/service-name"] == "waypoint"
                for each in piece["endpoints"]
                if each["conditions"]["ready"]
            ]
        return random.choice(self._known)

    async def _connection(self, pod: str) -> HboneConnection:
        async with self._lock:
            known = self._pool.get(pod)
            if known is None or known.http2.goaway or known.http2.closed:
                at = Waypoint(Address(pod, _HBONE), self._identity)
                known = await HboneConnection(at, self._svid, self._root).__aenter__()
                self._pool[pod] = known
                self._opened.append(known)
            return known


@asynccontextmanager
async def asking(caller: Caller, *paths: str, authority: str) -> AsyncIterator[None]:
    """While this is open, for each path somebody asks again and again."""

    async def ask(path: str, times: int) -> None:
        while not done():
            await caller.get(authority, path, times=times)
            await asyncio.sleep(0.01)

    stopped = False
    done: Callable[[], bool] = lambda: stopped  # noqa: E731
    async with asyncio.TaskGroup() as tasks:
        for number, path in enumerate(paths):
            tasks.create_task(ask(path, 1 + number % 2 * 9))
        try:
            yield
        finally:
            stopped = True
