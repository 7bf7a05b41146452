"""How late the event loop is."""

import asyncio

_EVERY = 0.5


class LoopLag:
    """Measures, by a timer, for how long others keep the event loop busy."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def run(self) -> None:
        """Measure until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + _EVERY
            await asyncio.sleep(_EVERY)
            self.seconds = max(0.0, clock() - due)
