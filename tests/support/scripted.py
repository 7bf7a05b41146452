"""A pod that answers as it is told to, and remembers what it was asked."""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass

from tests.support.response import Headers


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: a status after some seconds, or no answer at all but a reset connection."""

    status: int = 200
    delay_s: float = 0.0
    reset: bool = False
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it arrived; header names in lower case."""

    method: str
    path: str
    headers: Headers

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


RESET = Answer(reset=True)


class ScriptedPod:
    """An HTTP/1.1 server at ``ip:port``; each request takes the next answer, then all get 200.

    It may run in another thread than the test that scripts it.
    """

    def __init__(self, ip: str, port: int) -> None:
        self.ip = ip
        self.port = port
        self.asked: list[Asked] = []
        self._answers: deque[Answer] = deque()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def script(self, *answers: Answer | int) -> None:
        """Forget all that was, and answer like this from now on."""
        self.asked.clear()
        self._answers.clear()
        self._answers.extend(Answer(each) if isinstance(each, int) else each for each in answers)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self.ip, self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._writers):
                writer.transport.abort()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                self.asked.append(await _read_request(reader))
                answer = self._answers.popleft() if self._answers else Answer()
                await asyncio.sleep(answer.delay_s)
                if answer.reset:
                    writer.transport.abort()
                    break
                writer.write(_encode(answer, self.ip))
                await writer.drain()
        self._writers.discard(writer)
        writer.close()


async def _read_request(reader: asyncio.StreamReader) -> Asked:
    """The next request, its body dropped."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.splitlines()
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines if line)
    headers = tuple((name.lower(), value.strip()) for name, _, value in pairs)
    await reader.readexactly(int(dict(headers).get("content-length", "0")))
    return Asked(method, path, headers)


def _encode(answer: Answer, ip: str) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} x", "content-length: 0", f"x-echo-pod: {ip}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
