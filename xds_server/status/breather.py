"""Lets others run while something long is done."""

import asyncio
import time

_SLICE_S = 0.005  # that one turn of the event loop may be kept busy


class Breather:
    """Cuts work into slices that don't hold up the event loop."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + _SLICE_S

    async def breathe(self) -> None:
        """Let others run if this slice has taken its share."""
        if time.perf_counter() > self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + _SLICE_S
