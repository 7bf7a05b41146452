"""Byte streams with a buffer: the one shape that TCP connections and HBONE tunnels share."""

import asyncio
from abc import ABC, abstractmethod
from typing import Self

DEFAULT_TIMEOUT_S = 10.0


class StreamClosedError(ConnectionError):
    """The stream ended in the middle of something, or was reset; the message says how."""


class ByteStream(ABC):
    """A duplex stream of bytes. Every read is bounded by ``timeout`` seconds."""

    def __init__(self, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        self.timeout = timeout
        self._unread = bytearray()

    @abstractmethod
    async def receive(self) -> bytes:
        """The next bytes off the wire, unbuffered and without a time limit; b"" at the end."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Send ``data``, waiting while the peer takes no more."""

    @abstractmethod
    async def write_eof(self) -> None:
        """Say that nothing more will be sent; reading goes on."""

    @abstractmethod
    async def close(self) -> None:
        """Give the stream up in both directions. May be called twice."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def read(self, limit: int = 65536) -> bytes:
        """Up to ``limit`` bytes; b"" at the end. Raises StreamClosedError or TimeoutError."""
        if not self._unread:
            await self._fill()
        return self._take(min(limit, len(self._unread)))

    async def readexactly(self, size: int) -> bytes:
        """Exactly ``size`` bytes. Raises StreamClosedError or TimeoutError."""
        while len(self._unread) < size:
            await self._fill_or_fail()
        return self._take(size)

    async def readuntil(self, separator: bytes) -> bytes:
        """Everything up to and with ``separator``. Raises StreamClosedError or TimeoutError."""
        searched = 0
        while (found := self._unread.find(separator, searched)) < 0:
            searched = max(0, len(self._unread) - len(separator) + 1)
            await self._fill_or_fail()
        return self._take(found + len(separator))

    async def _fill(self) -> bool:
        async with asyncio.timeout(self.timeout):
            data = await self.receive()
        self._unread += data
        return bool(data)

    async def _fill_or_fail(self) -> None:
        if not await self._fill():
            raise StreamClosedError(f"ended after {bytes(self._unread[-200:])!r}")

    def _take(self, size: int) -> bytes:
        data = bytes(self._unread[:size])
        del self._unread[:size]
        return data


class TcpStream(ByteStream):
    """A TCP or TLS connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        super().__init__(timeout)
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(
        cls,
        ip: str,
        port: int,
        source_ip: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> Self:
        """Connect in plaintext, from ``source_ip`` if given. Raises OSError or TimeoutError."""
        source = None if source_ip is None else (source_ip, 0)
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(ip, port, local_addr=source)
        return cls(reader, writer, timeout_s)

    async def receive(self) -> bytes:
        return await self._reader.read(65536)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def write_eof(self) -> None:
        self._writer.write_eof()

    async def close(self) -> None:
        self._writer.transport.abort()
