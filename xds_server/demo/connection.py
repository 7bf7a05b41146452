"""A plain HTTP/1.1 client on one connection: it never retries and never reconnects by itself."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Self

from xds_server.demo.ztunnel import Address

_TIMEOUT_S = 5.0
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def version(self) -> str:
        """Which version of an echo application answered; empty if none did."""
        return self.headers.get("x-echo-version", "")


class Connection:
    """One keep-alive connection: ``async with await Connection.open(address) as connection``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: Address) -> Self:
        """Connect. Raises OSError or TimeoutError."""
        async with asyncio.timeout(_TIMEOUT_S):
            return cls(*await asyncio.open_connection(address.ip, address.port))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._writer.transport.abort()

    async def request(
        self, path: str = "/", headers: Mapping[str, str] = _NO_HEADERS, method: str = "GET"
    ) -> Answer:
        """Ask and wait for the answer. Raises EOFError, OSError, TimeoutError or ValueError."""
        lines = [f"{method} {path} HTTP/1.1", "host: reviews:9080"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        async with asyncio.timeout(_TIMEOUT_S):
            self._writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
            return await self._read_answer()

    async def _read_answer(self) -> Answer:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status_line, *lines = head.rstrip().split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        if "content-length" not in headers:
            raise ValueError("an answer without content-length")
        body = await self._reader.readexactly(int(headers["content-length"]))
        return Answer(int(status_line.split(" ")[1]), headers, body)
