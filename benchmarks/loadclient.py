"""A process full of simulated Envoys, so that measuring costs the server's process nothing.

The parent writes one JSON command a line and reads one JSON answer a line:

- ``{"do": "connect", "namespaces": [...], "replicas": 2}`` answers when all are configured;
- ``{"do": "drop"}`` ends all streams, ``{"do": "resume"}`` opens them again, with what they held;
- ``{"do": "arrivals"}`` answers with every response since the last time;
- ``{"do": "stall", "clients": 50}`` lets that many stop reading, ``{"do": "unstall"}`` read again;
- ``{"do": "refuse", "every": 10}`` lets every tenth refuse all that comes, 0 nobody;
- ``{"do": "held"}`` answers with the versions that each client holds, by type and name.
"""

import asyncio
import gc
import json
import os
import sys
import time
from typing import Any

import grpc

from benchmarks.envoys import Arrival, Delta, Envoy, Follower, Sotw

_VARIANTS = {"delta": (Envoy, Delta), "sotw": (Envoy, Sotw), "clusters": (Follower, Delta)}


class Fleet:
    """All Envoys of this process."""

    def __init__(self, address: str, variant: str) -> None:
        self._address = address
        self._kind, self._variant = _VARIANTS[variant]
        self._arrivals: list[Arrival] = []
        self._envoys: list[Envoy] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._dropping = False

    async def obey(self, command: dict[str, Any]) -> Any:
        """Do what the parent wants; the answer."""
        match command["do"]:
            case "connect":
                return await self._connect(command["namespaces"], command["replicas"])
            case "drop":
                return await self._drop()
            case "resume":
                return await self._open()
            case "arrivals":
                arrived, self._arrivals[:] = list(self._arrivals), []
                return arrived
            case "stall":
                for envoy in self._envoys[: command["clients"]]:
                    envoy.readable.clear()
                return len(self._envoys)
            case "unstall":
                for envoy in self._envoys:
                    envoy.readable.set()
                return len(self._envoys)
            case "refuse":
                every = command["every"]
                for envoy in self._envoys:
                    envoy.refuses = every > 0 and envoy.number % every == 0
                return sum(envoy.refuses for envoy in self._envoys)
            case "held":
                return [envoy.held for envoy in self._envoys]
        raise ValueError(command)

    async def _connect(self, namespaces: list[str], replicas: int) -> Any:
        for namespace in namespaces:
            for _ in range(replicas):
                number = len(self._envoys)
                envoy = self._kind(number, namespace, self._variant, self._arrivals.append)
                self._envoys.append(envoy)
        return await self._open()

    async def _open(self) -> Any:
        began = time.monotonic()
        before = sum(envoy.received for envoy in self._envoys)
        for envoy in self._envoys[len(self._tasks) :]:
            envoy.configured.clear()
            self._tasks.append(asyncio.create_task(self._keep_open(envoy)))
        await asyncio.gather(*(envoy.configured.wait() for envoy in self._envoys))
        received = sum(envoy.received for envoy in self._envoys) - before
        last = max(envoy.configured_at for envoy in self._envoys)
        return {
            "streams": len(self._envoys),
            "seconds": last - began,
            "resource_bytes": received,
        }

    async def _keep_open(self, envoy: Envoy) -> None:
        """Connect again when the server refuses, as Envoy does, a little later each time."""
        pause = 0.1
        while not self._dropping:
            try:
                await envoy.run(self._address)
            except grpc.aio.AioRpcError as error:
                # To be cancelled while it reads is such an error to a call.
                if not self._dropping:
                    print(
                        f"envoy {envoy.number}: {error.code()} {error.details()}", file=sys.stderr
                    )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 5.0)

    async def _drop(self) -> int:
        self._dropping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._dropping = False
        return len(self._envoys)


async def _main(address: str, variant: str) -> None:
    gc.set_threshold(100_000, 50, 1000)
    watching = asyncio.create_task(_end_with(os.getppid()))
    fleet = Fleet(address, variant)
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        answer = await fleet.obey(json.loads(line))
        print(json.dumps(answer), flush=True)
    watching.cancel()
    await fleet.obey({"do": "drop"})


async def _end_with(parent: int) -> None:
    """End with the parent, even while waiting for a server that went with it."""
    while os.getppid() == parent:  # noqa: ASYNC110  nothing tells
        await asyncio.sleep(1)
    os._exit(1)


class LoadClient:
    """The parent's side; ``async with LoadClient(address) as load: await load.do("drop")``."""

    def __init__(self, address: str, variant: str = "delta") -> None:
        self._arguments = (address, variant)

    async def __aenter__(self) -> "LoadClient":
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.loadclient", *self._arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 28,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def do(self, what: str, **arguments: Any) -> Any:
        """One command; its answer."""
        to, answers = self._process.stdin, self._process.stdout
        if to is None or answers is None:
            raise RuntimeError("the load client has no pipes")
        to.write(json.dumps({"do": what, **arguments}).encode() + b"\n")
        line = await answers.readline()
        if not line:
            raise RuntimeError("the load client is gone")
        return json.loads(line)

    async def arrivals(self) -> list[Arrival]:
        """Every response since the last time."""
        return [Arrival(*each) for each in await self.do("arrivals")]


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
