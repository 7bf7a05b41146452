"""An HTTP/2 client over any byte stream: TLS for HBONE, and a tunnel for what travels inside."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

from tests.support.response import Headers, Response
from tests.support.stream import DEFAULT_TIMEOUT_S, ByteStream, StreamClosedError

STREAM_WINDOW = 1024 * 1024
CONNECTION_WINDOW = 16 * 1024 * 1024
_FRAME_HEADER = 9
_GOAWAY = 7
_CANCEL = 8


class Http2Stream(ByteStream):
    """One request: its head and trailers, and the bytes of both bodies."""

    def __init__(self, owner: "Http2Connection", stream_id: int, timeout: float) -> None:
        super().__init__(timeout)
        self._owner = owner
        self._id = stream_id
        self._chunks: list[bytes] = []
        self._ended = False
        self._error: Exception | None = None
        self.headers: Headers = ()
        self.trailers: Headers = ()

    @property
    def status(self) -> int:
        """The status code; valid after ``response``."""
        return int(dict(self.headers)[":status"])

    @property
    def ended(self) -> bool:
        """Whether the peer has finished or reset the stream."""
        return self._ended or self._error is not None

    async def response(self) -> Headers:
        """Wait for the head of the answer. Raises StreamClosedError or TimeoutError."""
        async with asyncio.timeout(self.timeout):
            while not self.headers:
                self._raise_error()
                await self._owner.progress()
        return self.headers

    async def receive(self) -> bytes:
        while not self._chunks:
            self._raise_error()
            if self._ended:
                return b""
            await self._owner.progress()
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._owner.acknowledge(self._id, len(data))
        return data

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            self._raise_error()
            sent = self._owner.send_data(self._id, view)
            view = view[sent:]
            if not sent:
                await self._window()

    async def write_eof(self) -> None:
        self._raise_error()
        self._owner.end_stream(self._id)

    async def close(self) -> None:
        self._owner.reset(self._id)

    async def _window(self) -> None:
        """Wait until this stream may send again."""
        async with asyncio.timeout(self.timeout):
            while self._error is None and not self._owner.window(self._id):
                await self._owner.progress()

    def on_event(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                self.headers = _decode(event.headers)
            case h2.events.TrailersReceived():
                self.trailers = _decode(event.headers)
            case h2.events.DataReceived():
                self._chunks.append(event.data)
            case h2.events.StreamEnded():
                self._ended = True
            case h2.events.StreamReset():
                self.fail(StreamClosedError(f"reset with HTTP/2 error {event.error_code}"))
            case _:
                pass

    def fail(self, error: Exception) -> None:
        """Let everyone who waits on the stream see ``error``, unless it had ended well."""
        if not self._ended:
            self._error = error

    def forget_unread(self) -> int:
        """Drop what arrived and was not read; how many bytes that were."""
        size = sum(map(len, self._chunks))
        self._chunks.clear()
        return size

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


class Http2Connection:
    """The client side of one HTTP/2 connection; ``async with Http2Connection(stream) as c``.

    A reader and a writer task own the byte stream, so that neither side can block the other:
    window updates go out while a caller waits to send.
    """

    def __init__(self, wire: ByteStream, timeout: float = DEFAULT_TIMEOUT_S) -> None:
        self.timeout = timeout
        self.goaway = False
        self.closed = False
        self._wire = wire
        self._streams: dict[int, Http2Stream] = {}
        self._progress = asyncio.Event()
        self._to_send = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._partial = b""
        self._peer_settings = False
        self._h2 = h2.connection.H2Connection(
            # CONNECT has neither :path nor :scheme, and tests send what a checker would refuse.
            h2.config.H2Configuration(
                client_side=True, header_encoding="utf-8", validate_outbound_headers=False
            )
        )

    async def __aenter__(self) -> Self:
        self._h2.initiate_connection()
        self._h2.update_settings(
            {
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
            }
        )
        self._h2.increment_flow_control_window(CONNECTION_WINDOW - 65535)
        self._to_send.set()
        self._tasks = [asyncio.create_task(self._receive()), asyncio.create_task(self._send())]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._fail(StreamClosedError("the connection was closed"))
        await self._wire.close()

    async def open(self, headers: Sequence[tuple[str, str]], *, end: bool = False) -> Http2Stream:
        """Send a request head. Raises StreamClosedError on a closed or draining connection, and
        h2's TooManyStreamsError when the peer allows no more streams.
        """
        await self._settled()
        if self.closed or self.goaway:
            raise StreamClosedError("the connection takes no new streams")
        stream_id = self._h2.get_next_available_stream_id()
        stream = Http2Stream(self, stream_id, self.timeout)
        self._h2.send_headers(stream_id, list(headers), end_stream=end)
        self._streams[stream_id] = stream
        self._to_send.set()
        return stream

    async def progress(self) -> None:
        """Return when something has arrived, or the connection has ended."""
        await self._progress.wait()

    def send_data(self, stream_id: int, data: memoryview) -> int:
        """Send as much of ``data`` as the peer's windows take now; how much that was."""
        size = min(self.window(stream_id), self._h2.max_outbound_frame_size, len(data))
        if size:
            self._h2.send_data(stream_id, bytes(data[:size]))
            self._to_send.set()
        return size

    def window(self, stream_id: int) -> int:
        """How many bytes the peer takes now on a stream. Raises StreamClosedError."""
        try:
            # A peer that lowers its initial window can make this negative (RFC 9113 6.9.2).
            return max(self._h2.local_flow_control_window(stream_id), 0)
        except h2.exceptions.ProtocolError as error:
            raise StreamClosedError(f"not open for sending: {error}") from error

    def end_stream(self, stream_id: int) -> None:
        with suppress(h2.exceptions.ProtocolError):
            self._h2.end_stream(stream_id)
        self._to_send.set()

    def reset(self, stream_id: int) -> None:
        """Forget a stream and tell the peer; its unread bytes no longer hold the window."""
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return
        stream.fail(StreamClosedError("closed by this side"))
        with suppress(h2.exceptions.ProtocolError):
            self._h2.reset_stream(stream_id, _CANCEL)
        self.acknowledge(stream_id, stream.forget_unread())

    def acknowledge(self, stream_id: int, size: int) -> None:
        """Give the peer back ``size`` bytes of window."""
        if size and not self.closed:
            with suppress(h2.exceptions.ProtocolError):
                self._h2.acknowledge_received_data(size, stream_id)
            self._to_send.set()

    async def _settled(self) -> None:
        """Wait for the peer's SETTINGS: they say how many streams it takes."""
        async with asyncio.timeout(self.timeout):
            while not self._peer_settings and not self.closed:
                await self.progress()

    async def _receive(self) -> None:
        try:
            while data := await self._wire.receive():
                self._take_in(data)
            self._fail(StreamClosedError("the peer closed the connection"))
        except (OSError, h2.exceptions.ProtocolError) as error:
            self._fail(StreamClosedError(f"the connection broke: {error!r}"))

    def _take_in(self, data: bytes) -> None:
        for event in self._h2.receive_data(self._without_goaway(data)):
            self._dispatch(event)
        self._to_send.set()
        self._progress.set()
        self._progress = asyncio.Event()

    def _without_goaway(self, data: bytes) -> bytes:
        """``data`` in whole frames. h2 takes every GOAWAY for the end of all streams, but after
        a graceful one those in flight go on (RFC 9113 6.8), so it never gets to see them.
        """
        self._partial += data
        start, kept = 0, []
        while len(self._partial) - start >= _FRAME_HEADER:
            length = int.from_bytes(self._partial[start : start + 3], "big")
            end = start + _FRAME_HEADER + length
            if end > len(self._partial):
                break
            if self._partial[start + 3] == _GOAWAY:
                self.goaway = True
            else:
                kept.append(self._partial[start:end])
            start = end
        self._partial = self._partial[start:]
        return b"".join(kept)

    def _dispatch(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self._peer_settings = True
        stream_id = getattr(event, "stream_id", None)
        stream = self._streams.get(stream_id) if stream_id else None
        if stream is not None:
            stream.on_event(event)
        if isinstance(event, h2.events.DataReceived):
            # The data is acknowledged when it is read; h2 itself does so for streams that are gone.
            padding = event.flow_controlled_length - len(event.data)
            self.acknowledge(event.stream_id, padding)

    async def _send(self) -> None:
        try:
            while True:
                await self._to_send.wait()
                self._to_send.clear()
                if data := self._h2.data_to_send():
                    await self._wire.write(data)
        except OSError as error:
            self._fail(StreamClosedError(f"the connection broke: {error!r}"))

    def _fail(self, error: StreamClosedError) -> None:
        self.closed = True
        for stream in self._streams.values():
            stream.fail(error)
        self._progress.set()
        self._progress = asyncio.Event()


async def http2_request(
    connection: Http2Connection,
    method: str,
    path: str,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    authority: str = "test",
) -> Response:
    """One request over an open HTTP/2 connection. Raises StreamClosedError or TimeoutError."""
    pseudo = [
        (":method", method),
        (":scheme", "http"),
        (":authority", authority),
        (":path", path),
    ]
    stream = await connection.open([*pseudo, *headers], end=not body)
    async with stream:
        received, _ = await asyncio.gather(_collect(stream), _send_body(stream, body))
        plain = tuple(header for header in stream.headers if not header[0].startswith(":"))
        return Response(stream.status, plain, received, stream.trailers)


async def _collect(stream: Http2Stream) -> bytes:
    await stream.response()
    chunks = []
    while chunk := await stream.read():
        chunks.append(chunk)
    return b"".join(chunks)


async def _send_body(stream: Http2Stream, body: bytes) -> None:
    """Send ``body``; an answer that is complete before the body is (RFC 9113 8.1) ends it."""
    if not body:
        return
    try:
        await stream.write(body)
        await stream.write_eof()
    except StreamClosedError:
        if not stream.headers:
            raise


def _decode(headers: Sequence[tuple[bytes | str, bytes | str]] | None) -> Headers:
    return tuple((_text(name), _text(value)) for name, value in headers or ())


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode()
