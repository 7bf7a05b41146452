"""The source that follows a folder of manifests.

A notification only says that it is time to look: what changed is found by looking at the folder,
so renamed files, swapped links, new subfolders and lost notifications need no care of their own.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from pathlib import Path

import structlog
from watchfiles import awatch

from translators.world import Change
from xds_server.sources.folder import Folder
from xds_server.sources.source import Check, Sink, SourceProblem, unchecked

_log = structlog.get_logger(__name__)

_QUIET_MS = 10  # a burst of writes is over after this long
_BURST_MS = 50  # a longer burst is delivered in parts
_TICK_S = 1.0
_TICKS_PER_LOOK = 30  # look even without a notification: some file systems send none


class FileSource:
    """Objects from a folder of YAML and JSON files.

    ``root`` may be missing, or go and come again: what was last there stays. It may be a link
    that is swapped. ``grace`` is how long, in seconds, an empty file counts as half-written.
    ``check`` judges every object: of one that it refuses the last good version stays.
    """

    def __init__(self, root: Path, grace: float = 1.0, check: Check = unchecked) -> None:
        self._root = root
        self._folder = Folder(root, grace, check)
        self._problems: Sequence[SourceProblem] = []
        self._ticks = 0

    def problems(self) -> Sequence[SourceProblem]:
        """What is wrong at present, in the order of files and lines."""
        return self._problems

    def ages(self) -> Mapping[str, float | None]:
        """None: whatever changes on the disk is told at once."""
        return {}

    async def run(self, sink: Sink, synced: Callable[[], None]) -> None:
        """Feed the sink until cancelled; see ``Source.run``."""
        await self._refresh(sink)
        synced()
        while True:
            try:
                await self._follow(sink)
                if _identity(self._root) is not None:
                    continue
            except (OSError, RuntimeError) as error:
                _log.warning("folder can't be watched, looking every second", error=str(error))
            await self._refresh(sink)
            await asyncio.sleep(_TICK_S)

    async def _follow(self, sink: Sink) -> None:
        """Deliver changes until the folder is gone, or is another one."""
        watched = _identity(self._root)
        if watched is None:
            return
        async with aclosing(_watch(self._root)) as batches:
            pending = asyncio.ensure_future(anext(batches))
            try:
                await asyncio.sleep(0)  # the watch is live from its first step on
                await self._refresh(sink)
                while _identity(self._root) == watched:
                    touched = await pending
                    pending = asyncio.ensure_future(anext(batches))
                    await self._look(sink, touched)
            finally:
                await _cancel(pending)

    async def _look(self, sink: Sink, touched: Collection[str]) -> None:
        """Refresh if there is reason to: a notification, a half-written file, or long silence."""
        self._ticks = 0 if touched else self._ticks + 1
        if touched or not self._folder.is_settled or self._ticks % _TICKS_PER_LOOK == 0:
            await self._refresh(sink, touched)

    async def _refresh(self, sink: Sink, touched: Collection[str] = ()) -> None:
        """Look at the folder in a thread: reading may take long, and the loop must not wait."""
        before = self._problems
        changes, self._problems = await asyncio.to_thread(self._read, touched)
        if changes or self._problems != before:
            sink(changes)

    def _read(self, touched: Collection[str]) -> tuple[list[Change], list[SourceProblem]]:
        changes = self._folder.refresh(time.monotonic(), touched)
        return changes, self._folder.problems()


async def _watch(root: Path) -> AsyncGenerator[set[str], None]:
    """The names of files that were touched, batch by batch; an empty batch every second."""
    prefix = f"{root}/"
    batches = awatch(
        root,
        watch_filter=None,
        debounce=_BURST_MS,
        step=_QUIET_MS,
        rust_timeout=int(_TICK_S * 1000),
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )
    async for batch in batches:
        yield {path.removeprefix(prefix) for _, path in batch}


async def _cancel(pending: asyncio.Future[set[str]]) -> None:
    pending.cancel()
    with suppress(asyncio.CancelledError, StopAsyncIteration):
        await pending


def _identity(root: Path) -> tuple[int, int] | None:
    """Which folder this is at present; None if there is none."""
    try:
        status = root.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
