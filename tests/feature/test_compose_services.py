"""compose.yaml played without a container engine: the same commands, as processes on loopback.

Paths and addresses of the containers are replaced by paths below a temporary folder and by
addresses of a loopback network; what the services say to each other is left as it is.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.envoyproc import ENVOY
from tests.support.http1 import http1_request
from tests.support.loopback import LoopbackNet
from tests.support.response import Response
from tests.support.stream import TcpStream

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text())[
    "services"
]
READY_S = 20.0


class Engine:
    """What an engine would do for these services, with ``folder`` in the place of volumes."""

    def __init__(self, folder: Path, net: LoopbackNet) -> None:
        self._folder = folder
        self._net = net
        self._copy("examples/compose", "manifests", "control-plane")
        self._copy("envoy/compose", "compose", "client")
        for volume in ("bootstrap", "ca", "client"):
            (folder / "volumes" / volume).mkdir(parents=True)

    def run(self, name: str) -> None:
        """Run a service that ends. Raises CalledProcessError."""
        subprocess.run(self._command(name), env=self._environment(), check=True, timeout=30)

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """A service that goes on running, once it is healthy."""
        process = subprocess.Popen(self._command(name), env=self._environment())
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)

    async def healthy(self, name: str) -> None:
        """Return when the health check of the service says so. Raises TimeoutError."""
        _, *words = SERVICES[name]["healthcheck"]["test"]
        command = [self._local(word, name) for word in words]
        async with asyncio.timeout(READY_S):
            while True:
                check = await asyncio.create_subprocess_exec(
                    *command, env=self._environment(), stderr=asyncio.subprocess.DEVNULL
                )
                if await check.wait() == 0:
                    return
                await asyncio.sleep(0.05)

    def adopt(self, path: str, name: str) -> None:
        """Replace addresses in a file that a service has written to a volume."""
        file = self._folder / "volumes" / path
        file.write_text(self._local(file.read_text(), name))

    def ip(self, name: str) -> str:
        """The loopback address that stands for the service's own."""
        match SERVICES[name]:
            case {"networks": {"mesh": {"ipv4_address": address}}}:
                return self._net.ip(int(address.rpartition(".")[2]))
            case {"network_mode": mode} if mode.startswith("service:"):
                return self.ip(mode.removeprefix("service:"))
            case _:
                return "127.0.0.1"

    def _command(self, name: str) -> list[str]:
        service = SERVICES[name]
        entrypoint = service.get("entrypoint", ["waypost"])
        if "envoyproxy" in service["image"]:
            entrypoint = []
        return [self._local(word, name) for word in (*entrypoint, *service.get("command", []))]

    def _local(self, text: str, name: str) -> str:
        for container, here in (
            ("/var/lib/waypost", str(self._folder / "volumes")),
            ("/etc/waypost/manifests", str(self._folder / "manifests")),
            ("/etc/envoy", str(self._folder / "compose")),
            ("172.30.15.", f"{self._net.prefix}."),
            ("127.0.0.1", self.ip(name)),
            ("0.0.0.0", self.ip(name)),
        ):
            text = text.replace(container, here)
        return text

    def _copy(self, source: str, target: str, name: str) -> None:
        (self._folder / target).mkdir()
        for file in (ROOT / source).iterdir():
            (self._folder / target / file.name).write_text(self._local(file.read_text(), name))

    def _environment(self) -> dict[str, str]:
        tools = f"{Path(sys.executable).parent}:{ENVOY.parent}"
        return {
            **os.environ,
            "PATH": f"{tools}:{os.environ['PATH']}",
            "WAYPOST_CA_DIR": str(self._folder / "volumes/ca"),
        }


async def ask(ip: str, method: str = "GET") -> Response:
    async with await TcpStream.connect(ip, 8080) as stream:
        return await http1_request(stream, method, "/")


@pytest.mark.timeout(90)
async def test_the_services_work_together(tmp_path: Path) -> None:
    net = LoopbackNet()
    engine = Engine(tmp_path, net)
    engine.run("bootstrap")
    engine.run("credentials")
    engine.adopt("bootstrap/waypoint.json", "waypoint")
    with closing(net), ExitStack() as stack:
        # Each only after those that it depends on are healthy, as the file says.
        for name in ("hello-v1", "hello-v2", "control-plane", "waypoint", "client"):
            stack.enter_context(engine.running(name))
            await engine.healthy(name)
        answers = [await ask(engine.ip("client")) for _ in range(60)]
        assert {answer.status for answer in answers} == {200}
        assert {answer.header("x-echo-app") for answer in answers} == {"hello"}
        assert "v1" in {answer.header("x-echo-version") for answer in answers}
        refused = await ask(engine.ip("client"), "DELETE")
        assert (refused.status, refused.body) == (403, b"RBAC: access denied")
