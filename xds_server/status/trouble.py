"""Why nothing can be written at present, and how long the API server is left alone for it."""

import asyncio
import random

from xds_server.sources.kubernetes import backoff
from xds_server.sources.kubernetes.transport import Transport, TransportError
from xds_server.status.objects import Refused


class Trouble:
    """What keeps one writer from all its work; ``problem`` is empty while nothing does."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._failures = 0
        self.problem = ""

    async def pause(self, error: Exception) -> None:
        """Leave the API server alone: ever longer, and as long as it asks for.

        If it did not answer, this ends as soon as it answers anybody, such as the leader.
        """
        self.problem = str(error) or type(error).__name__
        self._failures += 1
        asked_for = error.retry_after if isinstance(error, Refused) else 0.0
        pause = backoff.delay(self._failures, random.random(), asked_for)  # noqa: S311
        if isinstance(error, TransportError):
            await self._transport.recovery(pause)
        else:
            await asyncio.sleep(pause)

    def end(self) -> None:
        """It works again."""
        self.problem, self._failures = "", 0
