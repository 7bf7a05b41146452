"""Our server as the tests run it: inside the test's event loop, or as a program of its own."""

import asyncio
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.support.manifests import Manifest
from translators.ir.waypoint import Mesh as MeshFacts
from translators.ir.waypoint import WaypointName
from translators.resources.metadata import ObjectKey
from translators.resources.parsing.manifest import parse
from translators.wire import Snapshot
from translators.world import Reader
from xds_server.ads import StreamStatus
from xds_server.identity.authority import Authority
from xds_server.serving.listeners import SecureXds
from xds_server.serving.server import Addresses, Server, Settings
from xds_server.snapshots import ProxyKey
from xds_server.sources.files import FileSource

SETTLE_S = 30.0
_POLL_S = 0.005


def settings(
    ca: Path, xds_port: int = 0, mesh: MeshFacts | None = None, secure: SecureXds | None = None
) -> Settings:
    """The settings of a server on loopback; its admin port is any that is free."""
    return Settings(ca, f"127.0.0.1:{xds_port}", "127.0.0.1:0", mesh or MeshFacts(), secure)


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """A server in this event loop, with the one thing that a test may know and a user may not:
    when everything that was written has arrived everywhere.
    """

    server: Server
    addresses: Addresses

    async def until_obeyed(
        self,
        there: Iterable[Manifest] = (),
        gone: Iterable[ObjectKey] = (),
        by: WaypointName | None = None,
    ) -> None:
        """Return when these objects are known and every Envoy has accepted what they mean.

        With ``by``, an Envoy of that waypoint must be among them: one whose stream has just ended,
        and that will open it again, is not taken for one that obeys.
        """
        wanted = {made.key: made.value for made in map(parse, there) if made.key}
        wanted |= dict.fromkeys(gone)
        world = self.server._compiler._world

        def is_known() -> bool:
            return all(Reader(world).find(key) == value for key, value in wanted.items())

        try:
            await eventually(lambda: is_known() and self.in_sync(by), "obeyed")
        except AssertionError as error:
            for problem in self.server._source.problems():
                error.add_note(str(problem))
            raise

    def in_sync(self, by: WaypointName | None = None) -> bool:
        """Whether every Envoy, one of ``by`` among them, has accepted all that is meant for it."""
        streams = self.server._ads.registry.streams()
        is_there = by is None or by in {stream.proxy.waypoint for stream in streams}
        return is_there and self.server._publisher.idle and all(map(self._has_all, streams))

    @contextmanager
    def lingering(self, seconds: float, drained_s: float) -> Iterator[None]:
        """Waypoints answer so much longer for services that have gone elsewhere.

        What their open connections need is there for ``drained_s`` more.
        """
        compiler, lingering = self.server._compiler, self.server._lingering
        compiler._lingers, lingering.linger_s, lingering.drained_s = True, seconds, drained_s
        try:
            yield
        finally:
            compiler._lingers = False

    def waypoints(self) -> set[WaypointName]:
        """The waypoints whose Envoys are connected."""
        return {key.waypoint for key in self.server._store.attached()}

    def served(self, waypoint: WaypointName) -> Snapshot | None:
        """What is served to the waypoint's Envoys, if any is connected."""
        store = self.server._store
        keys = [key for key in store.attached() if key.waypoint == waypoint]
        return store.served(keys[0]) if keys else None

    def _has_all(self, stream: StreamStatus) -> bool:
        proxy = stream.proxy
        key = self.server._store.key_of(ProxyKey(proxy.waypoint, proxy.bind, proxy.place))
        states, snapshot = stream.state(), self.server._store.served(key)
        return snapshot is not None and all(
            resource.key in states and states[resource.key].acked == resource.version
            for names in snapshot.resources.values()
            for resource in names.values()
        )


@asynccontextmanager
async def control_plane(
    given: Settings, manifests: Path, authority: Authority
) -> AsyncIterator[ControlPlane]:
    """A server in this event loop; raises what it raises if it can't start."""
    server = Server(given, FileSource(manifests), authority)
    started: asyncio.Future[Addresses] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(server.run(started.set_result))
    try:
        running.add_done_callback(lambda _: started.cancel())
        try:
            addresses = await started
        except asyncio.CancelledError:
            await running  # it has not started: raise what it raised
            raise
        yield ControlPlane(server, addresses)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class ServerProcess:
    """``waypost serve`` as a child, for what only a process of its own can show.

    Without ``manifests`` the ``options`` say where its objects come from.
    """

    def __init__(
        self, manifests: Path | None, ca: Path, xds: str, admin: str, log: Path, *options: str
    ) -> None:
        self.xds = xds
        self.admin = admin
        self.log = log
        self._command = [
            *(sys.executable, "-m", "xds_server", "serve"),
            *(() if manifests is None else ("--manifests", str(manifests))),
            *("--ca-dir", str(ca), "--xds", xds, "--admin", admin),
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, after a crash too; its log goes on where it was."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    async def wait_ready(self) -> None:
        """Return when ``/readyz`` answers 200."""

        def is_ready() -> bool:
            try:
                return self._fetch("/readyz") == b"ready\n"
            except OSError:
                return False

        while not await asyncio.to_thread(is_ready):
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            await asyncio.sleep(0.02)

    async def get(self, path: str) -> Any:
        """An admin page as JSON values."""
        return json.loads(await asyncio.to_thread(self._fetch, path))

    def tell(self, number: signal.Signals) -> None:
        """Send a signal, and don't wait for what becomes of it."""
        assert self._process is not None
        self._process.send_signal(number)

    async def ended(self, within: float) -> int:
        """The exit code, once it has ended by itself. Raises TimeoutExpired."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, within)

    def kill(self) -> None:
        """SIGKILL: nothing is said to anybody."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM."""
        self._end(signal.SIGTERM)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _fetch(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=5) as answer:
            body: bytes = answer.read()
            return body


async def eventually(
    condition: Callable[[], bool], what: str = "true", timeout_s: float = SETTLE_S
) -> None:
    """Return once the condition holds. Raises AssertionError after ``timeout_s`` seconds."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110  what is asked for sets no event
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise AssertionError(f"not {what} within {timeout_s:g} s") from None
