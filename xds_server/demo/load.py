"""A light, steady load, and what it sees."""

import asyncio
import time
from types import TracebackType
from typing import Self

from xds_server.demo.connection import Connection
from xds_server.demo.ztunnel import Address

_PAUSE_S = 0.005
_CALM_S = 0.1


class Load:
    """Keep-alive connections that ask again and again: ``async with Load(address, 4) as load``.

    A request fails if there is no answer or another status than 200. Nothing is tried twice.
    """

    def __init__(self, address: Address, connections: int) -> None:
        self.requests = 0
        self.failures = 0
        self._address = address
        self._connections = connections
        self._answers: asyncio.Queue[tuple[float, str]] = asyncio.Queue()
        self._workers: list[asyncio.Task[None]] = []
        self._stopping = False

    async def __aenter__(self) -> Self:
        self._workers = [asyncio.create_task(self._work()) for _ in range(self._connections)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, _: TracebackType | None
    ) -> None:
        """Let the requests under way end; a cancellation does not wait for them."""
        self._stopping = True
        if kind is not None:
            for worker in self._workers:
                worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=kind is not None)

    async def first_answer(self, version: str) -> float:
        """Wait for an answer of that version, which none gives yet; when it came.

        The time is that of ``time.perf_counter``.
        """
        while True:
            at, answered = await self._answers.get()
            if answered == version:
                return at

    async def settled(self, version: str) -> None:
        """Return when only that version has answered for 0.1 s."""
        since = time.perf_counter()
        while True:
            at, answered = await self._answers.get()
            if answered != version:
                since = at
            elif at - since > _CALM_S:
                return

    async def _work(self) -> None:
        while not self._stopping:
            try:
                async with await Connection.open(self._address) as connection:
                    while not self._stopping:
                        await self._ask(connection)
                        await asyncio.sleep(_PAUSE_S)
            except (OSError, EOFError, ValueError):
                self.failures += 1
                await asyncio.sleep(_PAUSE_S)

    async def _ask(self, connection: Connection) -> None:
        self.requests += 1
        answer = await connection.request()
        self._answers.put_nowait((time.perf_counter(), answer.version))
        self.failures += answer.status != 200
