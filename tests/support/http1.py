"""HTTP/1.1 over any byte stream; the stream can be used again after each answer."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from tests.support.response import Headers, Response
from tests.support.stream import ByteStream, StreamClosedError


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers of an answer; names in lower case."""

    status: int
    headers: Headers

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


async def http1_request(
    stream: ByteStream,
    method: str,
    path: str,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """One request and its whole answer. ``Host: test`` is added unless ``headers`` has one.

    Raises StreamClosedError or TimeoutError.
    """
    await send_request(stream, method, path, headers, body)
    head = await read_head(stream)
    chunks = [chunk async for chunk in read_body(stream, head, method)]
    return Response(head.status, head.headers, b"".join(chunks))


async def send_request(
    stream: ByteStream,
    method: str,
    path: str,
    headers: Sequence[tuple[str, str]] = (),
    body: bytes = b"",
) -> None:
    """Send a request without waiting for its answer."""
    lines = [f"{method} {path} HTTP/1.1"]
    if not any(name.lower() == "host" for name, _ in headers):
        lines.append("host: test")
    lines += [f"{name}: {value}" for name, value in headers]
    if body:
        lines.append(f"content-length: {len(body)}")
    await stream.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)


async def read_head(stream: ByteStream) -> Head:
    """The head of the next answer that is not a 100 or 103."""
    while True:
        status_line, *lines = (await stream.readuntil(b"\r\n\r\n")).decode("latin-1").splitlines()
        status = int(status_line.split(" ")[1])
        pairs = (line.partition(":") for line in lines if line)
        headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
        if status == 101 or status >= 200:
            return Head(status, headers)


async def read_body(stream: ByteStream, head: Head, method: str = "GET") -> AsyncIterator[bytes]:
    """The body that follows ``head``, in pieces as they arrive (RFC 9112 6.3)."""
    if method == "HEAD" or head.status in (101, 204, 304):
        return
    if (head.get("transfer-encoding") or "").endswith("chunked"):
        while chunk := await _read_chunk(stream):
            yield chunk
    elif (length := head.get("content-length")) is not None:
        async for chunk in _read_length(stream, int(length)):
            yield chunk
    else:
        while chunk := await stream.read():
            yield chunk


async def _read_length(stream: ByteStream, size: int) -> AsyncIterator[bytes]:
    while size:
        chunk = await stream.read(min(size, 65536))
        if not chunk:
            raise StreamClosedError(f"{size} bytes of the body are missing")
        size -= len(chunk)
        yield chunk


async def _read_chunk(stream: ByteStream) -> bytes:
    """The next chunk; b"" after the last one and its trailers."""
    size = int((await stream.readuntil(b"\r\n")).partition(b";")[0], 16)
    if size:
        return (await stream.readexactly(size + 2))[:-2]
    while await stream.readuntil(b"\r\n") != b"\r\n":
        pass
    return b""
