"""Echo applications: the pods of the demo and of the behaviour tests.

An HTTP port answers with what it received, a TCP port sends back every byte, and a banner port
speaks first, as SMTP or MySQL do. Any number of applications run in one event loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Self

from aiohttp import WSMsgType, web

MAX_DELAY_S = 60.0
MAX_SIZE = 64 * 1024 * 1024
MAX_CHUNKS = 100_000
_BLOCK = bytes(64 * 1024)
# How long a request in flight may go on when an application is stopped.
_SHUTDOWN_S = 0.1


@dataclass(frozen=True, slots=True)
class EchoApp:
    """One pod: what it is called, its address, and which ports speak what."""

    name: str
    version: str
    ip: str
    http_ports: tuple[int, ...] = ()
    tcp_ports: tuple[int, ...] = ()
    banner_ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Controls:
    """What the query of a request asks of the answer.

    ``status``: status code (200..599). ``delay``: seconds before the answer. ``size``: a body of
    that many bytes instead of the JSON one. ``stream``: number of chunks, and seconds between them.
    """

    status: int = 200
    delay: float = 0.0
    size: int | None = None
    stream: tuple[int, float] | None = None

    @classmethod
    def parse(cls, query: Mapping[str, str]) -> "Controls":
        """Read ``?status=503&delay=0.5&size=100&stream=5,0.1``. Raises ValueError on nonsense."""
        size, stream = query.get("size"), query.get("stream")
        return cls(
            status=int(_bounded("status", query.get("status", "200"), 200, 599)),
            delay=_bounded("delay", query.get("delay", "0"), 0, MAX_DELAY_S),
            size=None if size is None else int(_bounded("size", size, 0, MAX_SIZE)),
            stream=None if stream is None else _parse_stream(stream),
        )


@dataclass(frozen=True, slots=True)
class Received:
    """A request as the application saw it; ``headers`` keep their order and repetitions."""

    method: str
    path: str
    host: str
    protocol: str
    peer: str
    headers: tuple[tuple[str, str], ...]
    body_bytes: int


class Echo:
    """A running ``EchoApp``: ``async with Echo(app): ...``, or ``start`` and ``stop``."""

    def __init__(self, app: EchoApp) -> None:
        self.app = app
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        """Listen on every port of the application. Raises OSError if one is taken."""
        async with AsyncExitStack() as stack:
            await self._serve_http(stack)
            for port in self.app.tcp_ports:
                await _serve_tcp(stack, self.app.ip, port, b"")
            for port in self.app.banner_ports:
                await _serve_tcp(stack, self.app.ip, port, b"hello from %s\n" % self._name)
            self._stack = stack.pop_all()

    async def stop(self) -> None:
        """Close every port and connection."""
        await self._stack.aclose()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    @property
    def _name(self) -> bytes:
        return self.app.name.encode()

    async def _serve_http(self, stack: AsyncExitStack) -> None:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", http_handler(self.app))
        runner = web.AppRunner(
            application, access_log=None, handle_signals=False, shutdown_timeout=_SHUTDOWN_S
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        for port in self.app.http_ports:
            await web.TCPSite(runner, self.app.ip, port).start()


def identify(app: EchoApp) -> dict[str, str]:
    """The response headers that say which pod answered, whatever the body is."""
    return {"x-echo-app": app.name, "x-echo-version": app.version, "x-echo-pod": app.ip}


def describe(app: EchoApp, request: Received) -> dict[str, object]:
    """The JSON body of an answer: who answers, and the request as it arrived."""
    return {
        "app": app.name,
        "version": app.version,
        "pod": app.ip,
        "method": request.method,
        "path": request.path,
        "host": request.host,
        "protocol": request.protocol,
        "peer": request.peer,
        "headers": [list(header) for header in request.headers],
        "body_bytes": request.body_bytes,
    }


def http_handler(app: EchoApp) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of every method and path of ``app``."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await _echo_websocket(app, request)
        try:
            controls = Controls.parse(request.query)
        except ValueError as error:
            return web.json_response({"error": str(error)}, status=400, headers=identify(app))
        received = await _receive(request)
        await asyncio.sleep(controls.delay)
        if controls.stream is not None or controls.size is not None:
            return await _send_blocks(app, request, controls)
        return web.json_response(
            describe(app, received), status=controls.status, headers=identify(app)
        )

    return answer


async def _receive(request: web.Request) -> Received:
    body_bytes = 0
    async for chunk in request.content.iter_chunked(len(_BLOCK)):
        body_bytes += len(chunk)
    return Received(
        method=request.method,
        path=request.raw_path,
        host=request.host,
        protocol=f"HTTP/{request.version.major}.{request.version.minor}",
        peer=request.remote or "",
        headers=tuple((_text(name), _text(value)) for name, value in request.raw_headers),
        body_bytes=body_bytes,
    )


async def _send_blocks(
    app: EchoApp, request: web.Request, controls: Controls
) -> web.StreamResponse:
    response = web.StreamResponse(status=controls.status, headers=identify(app))
    response.content_type = "application/octet-stream"
    if controls.stream is None:
        response.content_length = controls.size
    await response.prepare(request)
    if controls.stream is not None:
        await _write_chunks(response, *controls.stream)
    else:
        await _write_bytes(response, controls.size or 0)
    await response.write_eof()
    return response


async def _write_bytes(response: web.StreamResponse, size: int) -> None:
    while size > 0:
        await response.write(_BLOCK[:size])
        size -= len(_BLOCK)


async def _write_chunks(response: web.StreamResponse, count: int, interval: float) -> None:
    for number in range(count):
        if number:
            await asyncio.sleep(interval)
        await response.write(b"chunk %d\n" % number)


async def _echo_websocket(app: EchoApp, request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    socket.headers.update(identify(app))
    await socket.prepare(request)
    async for message in socket:
        match message.type:
            case WSMsgType.TEXT:
                await socket.send_str(message.data)
            case WSMsgType.BINARY:
                await socket.send_bytes(message.data)
    return socket


async def _serve_tcp(stack: AsyncExitStack, ip: str, port: int, banner: bytes) -> None:
    writers: set[asyncio.StreamWriter] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        with suppress(ConnectionError):
            await _echo_bytes(reader, writer, banner)
        writers.discard(writer)
        writer.close()

    server = await asyncio.start_server(handle, ip, port)
    stack.push_async_callback(_stop_tcp, server, writers)


async def _stop_tcp(server: asyncio.Server, writers: Iterable[asyncio.StreamWriter]) -> None:
    server.close()
    for writer in tuple(writers):
        writer.transport.abort()
    await server.wait_closed()


async def _echo_bytes(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, banner: bytes
) -> None:
    """Send ``banner``, then every byte back, until the peer has finished sending."""
    writer.write(banner)
    while data := await reader.read(len(_BLOCK)):
        writer.write(data)
        await writer.drain()


def _bounded(name: str, text: str, low: float, high: float) -> float:
    value = float(text)
    if not low <= value <= high:
        raise ValueError(f"{name}={text} is not between {low:g} and {high:g}")
    return value


def _parse_stream(text: str) -> tuple[int, float]:
    count, _, interval = text.partition(",")
    return (
        int(_bounded("stream", count, 0, MAX_CHUNKS)),
        _bounded("interval", interval or "0", 0, MAX_DELAY_S),
    )


def _text(raw: bytes) -> str:
    return raw.decode("latin-1")
