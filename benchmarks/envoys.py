"""Simulated Envoys: they ask in Envoy's order, keep its books, and acknowledge what they get.

Everything is raw bytes, so that many fit into one process. A simulated Envoy does not warm and does
not serve; it refuses nothing unless it is told to.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

import grpc

from translators.wire.fields import read_delimited
from translators.wire.resource import TypeUrl, content_version
from translators.wire.scalar import WireType, delimit, tag
from translators.xds.names import CONNECT_ROUTES, ROOTS, SVID
from translators.xds.rendering import TOKEN_RULES
from xds_server.identity.peer import GATEWAY_NAME_LABEL

_SERVICE = "/envoy.service.discovery.v3.AggregatedDiscoveryService/"
# A type that does not exist is answered once, as empty, when nothing else is due.
_FENCE = "type.googleapis.com/bench.Fence"
_ROUTE_NAME = re.compile(rb"inbound-vip\|\d+\|http\|[a-z0-9.-]+")
_BY_NAME = {
    TypeUrl.ENDPOINT: (TypeUrl.CLUSTER, b"inbound-vip|"),
    TypeUrl.ROUTE: (TypeUrl.LISTENER, b"main_internal"),
}


class Arrival(NamedTuple):
    """One response: at which client and when (``time.monotonic``), of what type, with what."""

    client: int
    at: float
    type_url: str
    resources: int
    resource_bytes: int
    names: tuple[str, ...]


class Piece(NamedTuple):
    """One resource of a response."""

    name: str
    version: str
    body: bytes


def field(number: int, payload: bytes) -> bytes:
    """A field of texts, bytes or a message."""
    return tag(number, WireType.LENGTH) + delimit(payload)


def node(namespace: str, client: int) -> bytes:
    """The Node of an Envoy of the namespace's waypoint."""
    label = _entry(GATEWAY_NAME_LABEL, field(3, b"waypoint"))
    metadata = _entry("NAMESPACE", field(3, namespace.encode())) + _entry("LABELS", field(5, label))
    return field(1, f"envoy-{client}".encode()) + field(2, b"bench") + field(3, metadata)


def _entry(key: str, value: bytes) -> bytes:
    return field(1, field(1, key.encode()) + field(2, value))


_REFUSED = field(2, b"refused by a benchmark")


class Delta:
    """The incremental variant."""

    method = "DeltaAggregatedResources"

    def request(
        self,
        type_url: str,
        names: Iterable[str],
        held: Mapping[str, str],
        first: bool,
        nonce: bytes,
        node: bytes,
        wanted: Iterable[str],
    ) -> bytes:
        """A request for more names; the first of a type tells what is held."""
        parts = [field(1, node)] if node else []
        parts.append(field(2, type_url.encode()))
        parts += [field(3, name.encode()) for name in names]
        if first:
            pairs = held.items()
            parts += [field(5, field(1, n.encode()) + field(2, v.encode())) for n, v in pairs]
        if nonce:
            parts.append(field(6, nonce))
        return b"".join(parts)

    def refusal(self, type_url: str, nonce: bytes, wanted: Iterable[str]) -> bytes:
        """A request that refuses a response."""
        return field(2, type_url.encode()) + field(6, nonce) + field(7, _REFUSED)

    def response(self, data: bytes) -> tuple[str, bytes, str, list[Piece], list[str]]:
        """Type, nonce, the version of all (none here), resources and removed names."""
        type_url, nonce, pieces, removed = "", b"", [], []
        for number, payload in read_delimited(data):
            match number:
                case 2:
                    parts = dict(read_delimited(payload))
                    body = dict(read_delimited(parts[2])).get(2, b"")
                    pieces.append(Piece(parts[3].decode(), parts[1].decode(), body))
                case 4:
                    type_url = payload.decode()
                case 5:
                    nonce = payload
                case 6:
                    removed.append(payload.decode())
        return type_url, nonce, "", pieces, removed


class Sotw:
    """The state-of-the-world variant."""

    method = "StreamAggregatedResources"

    def __init__(self) -> None:
        self._versions: dict[str, bytes] = {}
        self._before: dict[str, bytes] = {}

    def request(
        self,
        type_url: str,
        names: Iterable[str],
        held: Mapping[str, str],
        first: bool,
        nonce: bytes,
        node: bytes,
        wanted: Iterable[str],
    ) -> bytes:
        """A request for exactly the wanted names."""
        parts = [field(1, self._versions[type_url])] if type_url in self._versions else []
        if node:
            parts.append(field(2, node))
        parts += [field(3, name.encode()) for name in wanted if name != "*"]
        parts.append(field(4, type_url.encode()))
        if nonce:
            parts.append(field(5, nonce))
        return b"".join(parts)

    def refusal(self, type_url: str, nonce: bytes, wanted: Iterable[str]) -> bytes:
        """A request that refuses a response: its version is that of the one before."""
        self._versions[type_url] = self._before[type_url]
        return self.request(type_url, (), {}, False, nonce, b"", wanted) + field(6, _REFUSED)

    def response(self, data: bytes) -> tuple[str, bytes, str, list[Piece], list[str]]:
        """Type, nonce, the version of all, resources and (never) removed names.

        There is no version of a single resource: the hash of its content stands for it.
        """
        fields: dict[int, bytes] = {}
        bodies = []
        for number, payload in read_delimited(data):
            if number == 2:
                bodies.append(dict(read_delimited(payload)).get(2, b""))
            else:
                fields[number] = payload
        type_url, version = fields[4].decode(), fields.get(1, b"")
        self._before[type_url] = self._versions.get(type_url, b"")
        self._versions[type_url] = version
        pieces = [Piece(_name(body), content_version(body), body) for body in bodies]
        return type_url, fields.get(5, b""), version.decode(), pieces, []


def _name(body: bytes) -> str:
    """The first field of clusters, assignments, listeners, route tables and secrets is the name."""
    return next(payload for number, payload in read_delimited(body) if number == 1).decode()


class Envoy:
    """One simulated Envoy. What it holds survives ``close``, as it does in an Envoy."""

    def __init__(
        self,
        number: int,
        namespace: str,
        variant: type[Delta] | type[Sotw],
        told: Callable[[Arrival], None],
    ) -> None:
        self.number = number
        self.namespace = namespace
        self.held: dict[str, dict[str, str]] = {each: {} for each in (*TypeUrl, _FENCE)}
        self.sizes: dict[tuple[str, str], int] = {}
        self.received = 0
        self.configured = asyncio.Event()
        self.configured_at = 0.0
        self.readable = asyncio.Event()
        self.readable.set()
        self.refuses = False
        self._variant = variant()
        self._told = told
        self._wanted: dict[str, dict[str, None]] = {}
        self._missing: dict[str, set[str]] = {}
        self._answered: set[str] = set()
        self._asked: set[str] = set()
        self._call: Any = None

    async def run(self, address: str) -> None:
        """Connect and follow until cancelled or the server ends the stream."""
        options = (("grpc.use_local_subchannel_pool", 1),)
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            self._call = channel.stream_stream(_SERVICE + self._variant.method)()
            self._asked.clear()
            self._answered.clear()
            self.configured.clear()
            try:
                await self._ask(TypeUrl.CLUSTER, ["*"], node=node(self.namespace, self.number))
                for type_url in (TypeUrl.SECRET, TypeUrl.ENDPOINT):
                    if self._wanted.get(type_url):
                        await self._ask(type_url, self._wanted[type_url])
                if self._wanted.get(TypeUrl.LISTENER):
                    await self._ask(TypeUrl.LISTENER, ["*"])
                    for type_url in (TypeUrl.EXTENSION, TypeUrl.ROUTE):
                        await self._ask(type_url, self._wanted[type_url])
                if self._had_all():
                    # Silence is the best answer to what it holds: an answer to this ends it.
                    await self._ask(_FENCE, ["fence"])
                while (data := await self._read()) is not grpc.aio.EOF:
                    await self._take_in(data)
            finally:
                with suppress(Exception):
                    self._call.cancel()

    def _had_all(self) -> bool:
        return bool(self._wanted.get(TypeUrl.LISTENER))

    async def _read(self) -> Any:
        await self.readable.wait()
        return await self._call.read()

    async def _take_in(self, data: bytes) -> None:
        type_url, nonce, _, pieces, removed = self._variant.response(data)
        if type_url == _FENCE:
            self._note_configured()
            return
        size = sum(len(piece.body) for piece in pieces)
        self.received += size
        names = tuple(piece.name for piece in pieces[:3])
        self._told(Arrival(self.number, time.monotonic(), type_url, len(pieces), size, names))
        if self.refuses:
            await self._call.write(
                self._variant.refusal(type_url, nonce, self._wanted.get(type_url, ()))
            )
            return
        held = self.held[type_url]
        for piece in pieces:
            held[piece.name] = piece.version
            self.sizes[type_url, piece.name] = len(piece.body)
        for name in removed:
            held.pop(name, None)
        self._answered.add(type_url)
        missing = self._missing.get(type_url)
        if missing:
            missing.difference_update(piece.name for piece in pieces)
        for follow_up, wanted in self._consequences(type_url, pieces):
            await self._ask(follow_up, wanted)
        await self._send(type_url, (), nonce)
        await self._go_on()

    def _consequences(self, type_url: str, pieces: list[Piece]) -> Iterator[tuple[str, list[str]]]:
        """What Envoy asks for before it acknowledges: what the new resources name."""
        for follow_up, (source, prefix) in _BY_NAME.items():
            if source == type_url:
                found = [n for p in pieces for n in _named(p.version, p.name, p.body, prefix)]
                known = self._wanted.get(follow_up, {})
                new = [name for name in dict.fromkeys(found) if name not in known]
                if new:
                    yield follow_up, new
        if type_url == TypeUrl.LISTENER and TypeUrl.EXTENSION not in self._asked:
            yield TypeUrl.EXTENSION, [TOKEN_RULES.name]
        if type_url == TypeUrl.CLUSTER and TypeUrl.SECRET not in self._asked:
            yield TypeUrl.SECRET, [SVID, ROOTS]

    async def _go_on(self) -> None:
        """Ask for listeners once the clusters are warm, and notice when everything is there."""
        if self.configured.is_set() or TypeUrl.CLUSTER not in self._answered:
            return
        if any(self._missing.values()):
            return
        if TypeUrl.LISTENER not in self._asked:
            await self._ask(TypeUrl.LISTENER, ["*"])
        elif TypeUrl.LISTENER in self._answered and CONNECT_ROUTES in self.held[TypeUrl.ROUTE]:
            self._note_configured()

    def _note_configured(self) -> None:
        self.configured_at = time.monotonic()
        self.configured.set()

    async def _ask(self, type_url: str, names: Iterable[str], node: bytes = b"") -> None:
        wanted = self._wanted.setdefault(type_url, {})
        asked = list(names)
        wanted.update(dict.fromkeys(asked))
        absent = {name for name in asked if name != "*" and name not in self.held[type_url]}
        self._missing.setdefault(type_url, set()).update(absent)
        await self._send(type_url, asked, b"", node)

    async def _send(
        self, type_url: str, names: Iterable[str], nonce: bytes, node: bytes = b""
    ) -> None:
        first = type_url not in self._asked
        self._asked.add(type_url)
        wanted = self._wanted.get(type_url, ())
        held = self.held[type_url]
        await self._call.write(
            self._variant.request(type_url, names, held, first, nonce, node, wanted)
        )


class Follower(Envoy):
    """Asks for clusters and for nothing else."""

    def _consequences(self, type_url: str, pieces: list[Piece]) -> Iterator[tuple[str, list[str]]]:
        return iter(())

    def _had_all(self) -> bool:
        return bool(self.held[TypeUrl.CLUSTER])

    async def _go_on(self) -> None:
        self._note_configured()


@lru_cache(maxsize=1 << 16)
def _names_in(version: str, name: str, body: bytes) -> tuple[str, ...]:
    found = _ROUTE_NAME.findall(body)
    return tuple(dict.fromkeys(each.decode() for each in found))


def _named(version: str, name: str, body: bytes, prefix: bytes) -> Iterable[str]:
    """The endpoints of a cluster, the route tables of a listener."""
    if prefix == b"inbound-vip|":
        return [name] if name.startswith("inbound-vip|") else []
    if name == "connect_terminate":
        return [CONNECT_ROUTES]
    return _names_in(version, name, body) if name.startswith("main_internal") else []
