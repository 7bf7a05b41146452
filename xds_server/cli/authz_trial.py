"""Asking a real Envoy about one request."""

import asyncio
import tempfile
from collections.abc import Iterable, Mapping
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
_REFUSALS = (307, 400, 403)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A request as its client writes it."""

    method: str
    target: str
    host: str
    headers: tuple[tuple[str, str], ...]
    claims: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Heard:
    """What Envoy did: the status of its answer, None if it ended the connection without one."""

    status: int | None
    allowed: bool

    @property
    def text(self) -> str:
        """The answer in words."""
        said = "it ended the connection" if self.status is None else f"status {self.status}"
        return f"{said}: {'allowed' if self.allowed else 'refused'}"


def hear(
    envoy: Path, resources: Iterable[Resource], mesh: Mesh, call: Call, spoken: Spoken
) -> Heard:
    """Start Envoy with these resources, send it the request, and stop it.

    Raises OSError, TimeoutError, ChildFailed, or ValueError.
    """
    return asyncio.run(_hear(envoy, resources, mesh, call, spoken))


async def _hear(
    envoy: Path, resources: Iterable[Resource], mesh: Mesh, call: Call, spoken: Spoken
) -> Heard:
    who = SpiffeId.parse(call.peer)
    with tempfile.TemporaryDirectory(prefix="waypost-") as folder:
        async with run_trial(envoy, Path(folder), resources, mesh.trust_domains, [who]) as trial:
            to = Address(call.destination, call.port)
            reader, writer = await trial.open(who, call.source, to)
            try:
                writer.write(_written(spoken))
                async with asyncio.timeout(_ANSWER_S):
                    return _understood(await reader.read())
            except ConnectionError:
                return Heard(None, allowed=False)
            finally:
                writer.transport.abort()


def _written(spoken: Spoken) -> bytes:
    headers = [("host", spoken.host), *spoken.headers, ("connection", "close")]
    if spoken.claims:
        headers.append((CLAIMS_HEADER, encode_claims(spoken.claims)))
    lines = (f"{name}: {value}" for name, value in headers)
    request_line = f"{spoken.method} {spoken.target} HTTP/1.1"
    return "\r\n".join([request_line, *lines, "", ""]).encode("latin-1")


def _understood(answer: bytes) -> Heard:
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head:
        return Heard(None, allowed=False)
    status = int(head.split(b" ", 2)[1])
    own = status != 403 or body == b"RBAC: access denied"
    return Heard(status, allowed=not (status in _REFUSALS and own))
