"""Requests spoken to an Envoy on trial, in HTTP/1.1 and in HTTP/2, and what came of them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.support.http1 import http1_request
from tests.support.http2 import Http2Connection, http2_request
from tests.support.response import Response
from tests.support.stream import StreamClosedError, TcpStream
from translators.authorization.request import HttpHead, Refusal, read_path
from xds_server.demo.ztunnel import Address
from xds_server.identity.spiffe import SpiffeId
from xds_server.trial import CLAIMS_HEADER, Trial, encode_claims

CLOSED = 0
"""Stands for the status of a request or a tunnel that was ended without any answer."""


@dataclass(frozen=True)
class Spoken:
    """A request as its client writes it."""

    target: str = "/"
    method: str = "GET"
    host: str = "h"
    headers: tuple[tuple[str, str], ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)

    def head(self) -> HttpHead | Refusal:
        """The same as policies see it."""
        path = read_path(self.target)
        if isinstance(path, Refusal):
            return path
        headers = tuple((name.lower(), value.strip()) for name, value in self.headers)
        return HttpHead(self.method, self.host, path, headers, self.claims)

    def all_headers(self) -> list[tuple[str, str]]:
        claims = [(CLAIMS_HEADER, encode_claims(self.claims))] if self.claims else []
        return [*self.headers, *claims]


class Line(Protocol):
    """An open connection of one client to one service."""

    async def ask(self, request: Spoken) -> Response: ...


class Http1Line:
    def __init__(self, stream: TcpStream) -> None:
        self._stream = stream

    async def ask(self, request: Spoken) -> Response:
        headers = [("host", request.host), *request.all_headers()]
        return await http1_request(self._stream, request.method, request.target, headers)


class Http2Line:
    def __init__(self, connection: Http2Connection) -> None:
        self._connection = connection

    async def ask(self, request: Spoken) -> Response:
        return await http2_request(
            self._connection,
            request.method,
            request.target,
            [(name.lower(), value) for name, value in request.all_headers()],
            authority=request.host,
        )


@asynccontextmanager
async def line(
    trial: Trial, who: SpiffeId, to: Address, *, source: str = "10.1.2.3", http2: bool = False
) -> AsyncIterator[Line]:
    """A connection of ``who`` to a service."""
    stream = TcpStream(*await trial.open(who, source, to))
    try:
        if http2:
            async with Http2Connection(stream) as connection:
                yield Http2Line(connection)
        else:
            yield Http1Line(stream)
    finally:
        await stream.close()


async def status(
    trial: Trial,
    who: SpiffeId,
    to: Address,
    request: Spoken,
    *,
    source: str = "10.1.2.3",
    http2: bool = False,
) -> int:
    """The status of one request on a connection of its own, or CLOSED."""
    try:
        async with line(trial, who, to, source=source, http2=http2) as open_line:
            return (await open_line.ask(request)).status
    except (StreamClosedError, ConnectionError):
        return CLOSED
