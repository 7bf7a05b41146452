"""A steady load: requests at a fixed rate over keep-alive tunnels, and what became of each."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.support.http1 import http1_request
from tests.support.response import Response
from tests.support.stream import ByteStream

Opener = Callable[[], Awaitable[ByteStream]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One request: when it ended (``time.monotonic``), how, and which pod and version answered."""

    at: float
    latency: float
    status: int | None
    pod: str | None
    version: str | None
    error: str | None = None


@dataclass(slots=True)
class Outcome:
    """All samples of a load, in the order in which they ended."""

    samples: list[Sample] = field(default_factory=list)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(sample.status for sample in self.samples if sample.status is not None)

    @property
    def pods(self) -> Counter[str]:
        return Counter(sample.pod for sample in self.samples if sample.pod is not None)

    @property
    def failures(self) -> list[Sample]:
        """Requests without an answer, and those answered 5xx."""
        return [s for s in self.samples if s.status is None or s.status >= 500]

    def first_after(self, moment: float, matches: Callable[[Sample], bool]) -> float | None:
        """Seconds from ``moment`` until the first matching answer; None if there was none."""
        later = (s.at - moment for s in self.samples if s.at >= moment and matches(s))
        return next(later, None)

    def last_after(self, moment: float, matches: Callable[[Sample], bool]) -> float | None:
        """Seconds from ``moment`` until the last matching answer; None if there was none."""
        later = [s.at - moment for s in self.samples if s.at >= moment and matches(s)]
        return later[-1] if later else None


class Load:
    """``async with Load(open_tunnel, rate=200, tunnels=4) as load: ...; load.outcome``.

    Each of ``tunnels`` workers owns a keep-alive tunnel from ``open_tunnel`` and opens a new one
    when an answer says ``connection: close`` or the tunnel broke (which is counted as a failure).
    ``rate`` is requests a second over all workers; no request begins later than ``limit_s`` after
    the start.
    """

    def __init__(
        self,
        open_tunnel: Opener,
        *,
        rate: float,
        tunnels: int = 1,
        path: str = "/",
        headers: Sequence[tuple[str, str]] = (),
        limit_s: float = 60.0,
    ) -> None:
        self.outcome = Outcome()
        self._open = open_tunnel
        self._interval = tunnels / rate
        self._tunnels = tunnels
        self._path = path
        self._headers = headers
        self._limit_s = limit_s
        self._stopping = asyncio.Event()
        self._workers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Load":
        loop = asyncio.get_running_loop()
        start = loop.time()
        self._workers = [
            asyncio.create_task(self._work(start + number * self._interval / self._tunnels))
            for number in range(self._tunnels)
        ]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.finish()

    async def finish(self) -> Outcome:
        """Let the requests in flight end, and return everything that was seen."""
        self._stopping.set()
        await asyncio.gather(*self._workers)
        return self.outcome

    async def wait_for(self, matches: Callable[[Sample], bool], timeout_s: float = 10.0) -> Sample:
        """The first matching answer from now on. Raises TimeoutError."""
        seen = len(self.outcome.samples)
        async with asyncio.timeout(timeout_s):
            while True:
                for sample in self.outcome.samples[seen:]:
                    seen += 1
                    if matches(sample):
                        return sample
                await asyncio.sleep(self._interval / self._tunnels)

    async def _work(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._limit_s
        stream: ByteStream | None = None
        while due < end and not await self._stopped(due - loop.time()):
            stream = await self._request(stream)
            # After a stall the load goes on at its rate; it does not catch up in a burst.
            due = max(due + self._interval, loop.time())
        if stream is not None:
            await stream.close()

    async def _stopped(self, delay: float) -> bool:
        """Wait ``delay`` seconds, or less if the load is stopped meanwhile; whether it is."""
        try:
            await asyncio.wait_for(self._stopping.wait(), max(delay, 0))
        except TimeoutError:
            return False
        return True

    async def _request(self, stream: ByteStream | None) -> ByteStream | None:
        """One request; the stream to use for the next, if it can be used again."""
        began = time.monotonic()
        try:
            stream = stream or await self._open()
            response = await http1_request(stream, "GET", self._path, self._headers)
        except Exception as error:
            self._record(began, None, f"{type(error).__name__}: {error}")
        else:
            self._record(began, response, None)
            if response.header("connection") != "close":
                return stream
        if stream is not None:
            await stream.close()
        return None

    def _record(self, began: float, response: Response | None, error: str | None) -> None:
        now = time.monotonic()
        if response is None:
            sample = Sample(now, now - began, None, None, None, error)
        else:
            pod, version = response.header("x-echo-pod"), response.header("x-echo-version")
            sample = Sample(now, now - began, response.status, pod, version)
        self.outcome.samples.append(sample)
