"""Asking a real Envoy about one request."""

import asyncio
import ssl
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from translators.authorization.request import Call
from translators.ir.waypoint import Mesh
from translators.wire import Resource
from xds_server.demo.ztunnel import Address
from xds_server.identity.spiffe import SpiffeId
from xds_server.trial import CLAIMS_HEADER, encode_claims, run_trial

_ANSWER_S = 5.0
_REFUSALS = (307, 400, 401, 403)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A request as its client writes it."""

    method: str
    target: str
    host: str
    headers: tuple[tuple[str, str], ...]
    claims: Mapping[str, Any]

    def written(self) -> bytes:
        """The request in HTTP/1.1."""
        headers = [("host", self.host), *self.headers, ("connection", "close")]
        if self.claims:
            headers.append((CLAIMS_HEADER, encode_claims(self.claims)))
        lines = (f"{name}: {value}" for name, value in headers)
        request_line = f"{self.method} {self.target} HTTP/1.1"
        return "\r\n".join([request_line, *lines, "", ""]).encode("latin-1")


@dataclass(frozen=True, slots=True)
class Heard:
    """What Envoy did: the status of an answer, None if it ended the connection without one.

    The pods' stand-in answers 400 to bytes that are no HTTP, if it gets them.
    """

    status: int | None
    allowed: bool

    @property
    def text(self) -> str:
        """The answer in words."""
        said = "it ended the connection" if self.status is None else f"status {self.status}"
        return f"{said}: {'allowed' if self.allowed else 'refused'}"


def opening(tls: bool, call: Call) -> bytes:
    """The first bytes of a connection that carries no HTTP: in TLS a ClientHello."""
    if not tls:
        return b"\x00no HTTP\r\n\r\n"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    sent = ssl.MemoryBIO()
    hello = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=call.sni or None)
    with suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    return sent.read()


def hear(envoy: Path, resources: Iterable[Resource], mesh: Mesh, call: Call, data: bytes) -> Heard:
    """Start Envoy with these resources, send it the bytes, and stop it.

    Raises OSError, TimeoutError, ChildFailed, or ValueError.
    """
    return asyncio.run(_hear(envoy, resources, mesh, call, data))


async def _hear(
    envoy: Path, resources: Iterable[Resource], mesh: Mesh, call: Call, data: bytes
) -> Heard:
    who = SpiffeId.parse(call.peer)
    with tempfile.TemporaryDirectory(prefix="waypost-") as folder:
        async with run_trial(envoy, Path(folder), resources, mesh.trust_domains, [who]) as trial:
            to = Address(call.destination, call.port)
            reader, writer = await trial.open(who, call.source, to)
            try:
                writer.write(data)
                async with asyncio.timeout(_ANSWER_S):
                    answer = await reader.read()
                return _understood(answer) if call.http else _let_in(answer)
            except ConnectionError:
                return Heard(None, allowed=False)
            finally:
                writer.transport.abort()


def _let_in(answer: bytes) -> Heard:
    """Whether somebody answered: whoever is refused hears nothing."""
    return Heard(400, allowed=True) if answer else Heard(None, allowed=False)


def _understood(answer: bytes) -> Heard:
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head:
        return Heard(None, allowed=False)
    status = int(head.split(b" ", 2)[1])
    own = status != 403 or body == b"RBAC: access denied"
    return Heard(status, allowed=not (status in _REFUSALS and own))
