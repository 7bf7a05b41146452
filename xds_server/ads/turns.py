"""Shares the event loop out, so that thousands of streams at once keep nobody waiting for long."""

import asyncio
from collections import deque

_NEW_FOR = 10.0
"""Seconds in which a proxy is taken to be still on its way to its first configuration."""


class Turns:
    """Lets as much work be done in one turn of the loop as fits into ``seconds``.

    Who comes later in that turn waits for another one, in the order of arrival. New proxies and
    others have a lane each and are served alternately, ``at_once`` in a turn: a change gets through
    a storm of new proxies, and a new proxy through a change for everybody. While there is little to
    do nobody waits.
    """

    def __init__(self, seconds: float = 0.004, at_once: int = 8) -> None:
        self._seconds = seconds
        self._at_once = at_once
        self._until = 0.0
        self._turn: asyncio.Handle | None = None
        self._new: deque[asyncio.Future[None]] = deque()
        self._known: deque[asyncio.Future[None]] = deque()

    async def enter(self, came: float) -> None:
        """Return when there is time for a piece of work, which must not await.

        ``came`` is the time of the loop at which the proxy came.
        """
        loop = asyncio.get_running_loop()
        if self._turn is None:
            self._begin(loop)
        elif self._new or self._known or loop.time() > self._until:
            turn = loop.create_future()
            lane = self._new if loop.time() < came + _NEW_FOR else self._known
            lane.append(turn)
            await turn

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._until = loop.time() + self._seconds
        self._turn = loop.call_soon(self._next, loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        """A new turn of the loop: it belongs to those who wait, if anybody does."""
        self._turn = None
        woken = 0
        while woken < self._at_once and (self._new or self._known):
            woken += _wake_one(self._new) + _wake_one(self._known)
        if woken:
            self._begin(loop)


def _wake_one(lane: deque[asyncio.Future[None]]) -> bool:
    """Wake the first who still waits; whoever was cancelled meanwhile does not."""
    while lane:
        turn = lane.popleft()
        if not turn.done():
            turn.set_result(None)
            return True
    return False
