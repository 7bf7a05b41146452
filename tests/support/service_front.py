"""A Service's address as kube-proxy serves it: a connection goes to one replica that answers."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

_CHUNK = 65536


class ServiceFront:
    """TCP at a free port of ``ip``; ``backends`` (``ip:port``) are tried in their order."""

    def __init__(self, ip: str) -> None:
        self.backends: list[str] = []
        self._ip = ip
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """Where it listens, once entered."""
        assert self._server is not None
        ip, port = self._server.sockets[0].getsockname()
        return f"{ip}:{port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._ip, 0)
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._forward(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for backend in self.backends:
            ip, _, port = backend.rpartition(":")
            with suppress(OSError):
                back_reader, back_writer = await asyncio.open_connection(ip, int(port))
                break
        else:
            return
        try:
            one_way = (_pump(reader, back_writer), _pump(back_reader, writer))
            tasks = [asyncio.ensure_future(each) for each in one_way]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            back_writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
