"""An HBONE client: mutual TLS 1.3, HTTP/2, one CONNECT for each tunnel, as ztunnel does it."""

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.support.http2 import Http2Connection, Http2Stream
from tests.support.stream import DEFAULT_TIMEOUT_S, TcpStream
from xds_server.demo.ztunnel import SvidFiles, Waypoint

Tunnel = Http2Stream


class ConnectRefusedError(Exception):
    """The CONNECT was answered with something else than 200."""

    def __init__(self, authority: str, status: int) -> None:
        super().__init__(f"CONNECT {authority} was answered {status}")
        self.status = status


class WrongIdentityError(Exception):
    """The waypoint's certificate does not carry the expected SPIFFE URI."""


class HboneConnection:
    """One HTTP/2 connection to a waypoint under one identity; ``async with`` opens it.

    Opening raises ssl.SSLError, OSError, TimeoutError, or WrongIdentityError. In TLS 1.3 a server
    refuses a client certificate after the handshake: then ``connect`` raises StreamClosedError.
    """

    def __init__(
        self,
        waypoint: Waypoint,
        svid: SvidFiles | None,
        root: Path,
        *,
        source_ip: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        self._waypoint = waypoint
        self._tls = _client_context(svid, root)
        self._source_ip = source_ip
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        wire = await self._open_wire()
        self.http2 = Http2Connection(wire, self._timeout)
        await self.http2.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.http2.__aexit__(*exc_info)

    async def connect(self, authority: str, headers: Sequence[tuple[str, str]] = ()) -> Tunnel:
        """A tunnel to ``authority`` (``ip:port``). Raises ConnectRefusedError, StreamClosedError,
        TimeoutError, or h2's TooManyStreamsError.
        """
        pseudo = [(":method", "CONNECT"), (":authority", authority)]
        tunnel = await self.http2.open([*pseudo, *headers])
        try:
            await tunnel.response()
        except BaseException:
            await tunnel.close()
            raise
        if tunnel.status != 200:
            await tunnel.close()
            raise ConnectRefusedError(authority, tunnel.status)
        return tunnel

    async def _open_wire(self) -> TcpStream:
        address = self._waypoint.address
        source = None if self._source_ip is None else (self._source_ip, 0)
        async with asyncio.timeout(self._timeout):
            reader, writer = await asyncio.open_connection(
                address.ip, address.port, ssl=self._tls, local_addr=source
            )
        names = _uri_names(writer.get_extra_info("ssl_object"))
        if self._waypoint.identity not in names:
            writer.transport.abort()
            raise WrongIdentityError(f"{names} instead of {self._waypoint.identity}")
        return TcpStream(reader, writer, self._timeout)


def _client_context(svid: SvidFiles | None, root: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # Mesh peers are known by their SPIFFE URI, which open() compares itself.
    context.check_hostname = False
    context.load_verify_locations(root)
    context.set_alpn_protocols(["h2"])
    if svid is not None:
        context.load_cert_chain(svid.chain, svid.key)
    return context


def _uri_names(connection: ssl.SSLObject) -> tuple[str, ...]:
    certificate = connection.getpeercert() or {}
    names: Sequence[tuple[str, str]] = certificate.get("subjectAltName", ())  # type: ignore[assignment]
    return tuple(value for kind, value in names if kind == "URI")
