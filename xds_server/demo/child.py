"""Programs that the demo runs beside itself; each is stopped by its process id."""

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

_STOP_S = 5.0
_POLL_S = 0.02
_TAIL_LINES = 20


class ChildFailed(Exception):
    """A program ended, or was not ready in time. The message ends with its last lines."""


class Child:
    """A running program; all that it prints goes to ``log``. Raises OSError if it can't be run.

    Starting and stopping don't await, so that no cancellation can come in between.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def wait_for(self, ready: Callable[[], Awaitable[bool]], timeout_s: float = 15.0) -> None:
        """Return once ``ready`` says so. Raises ChildFailed if the program ends or is too slow."""
        deadline = time.monotonic() + timeout_s
        while not await ready():
            if (code := self._process.poll()) is not None:
                raise ChildFailed(f"{self.name} ended with exit code {code}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ChildFailed(f"{self.name} was not ready in {timeout_s:g} s\n{self.tail()}")
            await asyncio.sleep(_POLL_S)

    def tail(self) -> str:
        """The last lines that it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that is not enough; returns when the process is gone."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
