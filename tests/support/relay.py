"""A stand-in for a Service of several replicas: bytes go to the first that takes a connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

Address = tuple[str, int]


class Relay:
    """``targets`` may be changed; connections that are open stay as they are."""

    def __init__(self, *targets: Address) -> None:
        self.targets = list(targets)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        for target in self.targets:
            with suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection(*target)
                break
        else:
            writer.close()
            return
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def relay(at: Address, *targets: Address) -> AsyncIterator[Relay]:
    """A relay that listens."""
    made = Relay(*targets)
    server = await asyncio.start_server(made.serve, *at)
    try:
        yield made
    finally:
        server.close()
