"""Echo applications in a thread with an event loop of its own.

So one fleet serves a whole session of tests, each of which may have an event loop of its own.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Protocol, Self, TypeVar

from tests.support.h2c import H2cEcho
from xds_server.demo.echo import Echo, EchoApp

_T = TypeVar("_T")


class Server(Protocol):
    """Anything that can be started and stopped inside an event loop."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class EchoFleet:
    """``with EchoFleet() as fleet: fleet.add(EchoApp(...), h2c_ports=(8081,))``."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="echo", daemon=True)
        self._servers: dict[str, list[Server]] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        for ip in tuple(self._servers):
            self.remove(ip)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def add(self, app: EchoApp, h2c_ports: tuple[int, ...] = ()) -> EchoApp:
        """Start a pod; returns when all its ports listen. Raises OSError."""
        self.host(app.ip, Echo(app), *(H2cEcho(app, port) for port in h2c_ports))
        return app

    def host(self, ip: str, *servers: Server) -> None:
        """Start a pod that these servers make up. Raises OSError."""
        self._servers[ip] = list(servers)
        for server in servers:
            self._run(server.start())

    def remove(self, ip: str) -> None:
        """Stop the pod at ``ip``: its ports refuse connections, the open ones are reset."""
        for server in self._servers.pop(ip):
            self._run(server.stop())

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
