"""An HTTP/2 server in plaintext (prior knowledge) that answers as the echo application does.

Of the query controls it knows status, delay and size. A gRPC request gets its messages back, and
``grpc-status`` from its own ``x-grpc-status`` header.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Self
from urllib.parse import parse_qsl, urlsplit

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from xds_server.demo.echo import Controls, EchoApp, Received, describe, identify


class H2cEcho:
    """One h2c port of ``app``: ``async with H2cEcho(app, port)``, or ``start`` and ``stop``."""

    def __init__(self, app: EchoApp, port: int) -> None:
        self.app = app
        self.port = port
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self.app, self._connections), self.app.ip, self.port
        )

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for connection in tuple(self._connections):
                connection.abort()
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()


class _Request:
    def __init__(self, headers: Sequence[tuple[str, str]]) -> None:
        self.headers = tuple(headers)
        self.fields = dict(headers)
        self.body = bytearray()
        self.body_bytes = 0
        self.outbox: bytearray | None = None
        self.trailers: list[tuple[str, str]] = []

    @property
    def is_grpc(self) -> bool:
        return self.fields.get("content-type", "").startswith("application/grpc")


class _Connection(asyncio.Protocol):
    def __init__(self, app: EchoApp, connections: "set[_Connection]") -> None:
        self._app = app
        self._connections = connections
        self._requests: dict[int, _Request] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)
        self._h2.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        for task in self._tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._dispatch(event)
        except h2.exceptions.ProtocolError:
            self._flush()
            self.abort()
        else:
            self._pump()

    def abort(self) -> None:
        self._transport.abort()

    def _dispatch(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived():
                self._requests[event.stream_id] = _Request(
                    [(str(name), str(value)) for name, value in event.headers or ()]
                )
            case h2.events.DataReceived():
                self._collect(event)
            case h2.events.StreamEnded():
                task = asyncio.create_task(self._answer(event.stream_id))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case h2.events.StreamReset():
                self._requests.pop(event.stream_id, None)
            case _:
                pass

    def _collect(self, event: h2.events.DataReceived) -> None:
        request = self._requests.get(event.stream_id)
        if request is not None:
            request.body_bytes += len(event.data)
            if request.is_grpc:
                request.body += event.data
        self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)

    async def _answer(self, stream_id: int) -> None:
        request = self._requests.get(stream_id)
        if request is None:  # reset before this task had its turn
            return
        try:
            controls = Controls.parse(dict(parse_qsl(urlsplit(request.fields[":path"]).query)))
        except ValueError:
            controls = Controls(status=400)
        await asyncio.sleep(controls.delay)
        if stream_id not in self._requests:
            return
        headers = [(":status", str(controls.status)), *identify(self._app).items()]
        if request.is_grpc:
            headers.append(("content-type", "application/grpc"))
            request.outbox = request.body
            request.trailers = [("grpc-status", request.fields.get("x-grpc-status", "0"))]
        else:
            headers.append(("content-type", "application/json"))
            request.outbox = bytearray(self._body(request, controls))
        self._h2.send_headers(stream_id, headers)
        self._pump()

    def _body(self, request: _Request, controls: Controls) -> bytes:
        if controls.size is not None:
            return bytes(controls.size)
        peer: tuple[str, int] = self._transport.get_extra_info("peername")
        received = Received(
            method=request.fields[":method"],
            path=request.fields[":path"],
            host=request.fields.get(":authority", ""),
            protocol="HTTP/2",
            peer=peer[0],
            headers=tuple(pair for pair in request.headers if not pair[0].startswith(":")),
            body_bytes=request.body_bytes,
        )
        return json.dumps(describe(self._app, received)).encode()

    def _pump(self) -> None:
        """Send what the peer's windows take of every answer that has begun."""
        for stream_id, request in tuple(self._requests.items()):
            if request.outbox is not None and self._send_some(stream_id, request.outbox):
                del self._requests[stream_id]
                if request.trailers:
                    self._h2.send_headers(stream_id, request.trailers, end_stream=True)
                else:
                    self._h2.end_stream(stream_id)
        self._flush()

    def _send_some(self, stream_id: int, outbox: bytearray) -> bool:
        """Whether ``outbox`` is empty now."""
        while outbox:
            window = self._h2.local_flow_control_window(stream_id)
            size = min(window, self._h2.max_outbound_frame_size, len(outbox))
            if size <= 0:
                return False
            self._h2.send_data(stream_id, bytes(outbox[:size]))
            del outbox[:size]
        return True

    def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self._transport.write(data)
