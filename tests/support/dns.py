"""A DNS server on loopback that answers from a table."""

import asyncio
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import cast

_A, _AAAA = 1, 28
_ANSWER, _NO_SUCH_NAME = 0x8180, 0x8183
_POINTER = 0xC00C  # to the name in the question


@dataclass(slots=True)
class NameServer:
    """``records`` are the addresses of each name; other names do not exist. ``asked`` counts."""

    records: dict[str, list[str]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    address: str = ""

    def answer(self, query: bytes) -> bytes:
        """The response to a query with one question."""
        name, end = _read_name(query)
        (kind,) = struct.unpack_from("!H", query, end)
        self.asked[name] += 1
        known = self.records.get(name)
        addresses = [ip_address(text) for text in known or ()]
        wanted = [one.packed for one in addresses if (_A, _AAAA)[one.version == 6] == kind]
        flags = _NO_SUCH_NAME if known is None else _ANSWER
        head = query[:2] + struct.pack("!HHHHH", flags, 1, len(wanted), 0, 0)
        entries = (
            struct.pack("!HHHIH", _POINTER, kind, 1, 1, len(packed)) + packed for packed in wanted
        )
        return head + query[12 : end + 4] + b"".join(entries)


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(self._server.answer(data), addr)


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    """A name server on a free port, with no names yet."""
    server = NameServer()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Protocol(server), local_addr=("127.0.0.1", 0)
    )
    host, port = transport.get_extra_info("sockname")[:2]
    server.address = f"{host}:{port}"
    try:
        yield server
    finally:
        transport.close()


def _read_name(query: bytes) -> tuple[str, int]:
    """The name of the question, and where it ends."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels).lower(), at + 1
