"""How long it takes to start: the command that prints help, and the server on the bookinfo example.

Beside them, in turns, what cannot be avoided: to import the messages of Envoy's API.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.controlplane import ServerProcess
from tests.support.loopback import free_port

_ROUNDS = 5
_EXAMPLE = Path(__file__).parent.parent / "examples" / "bookinfo"
_IMPORT = "import envoy_data_plane.envoy.config.listener.v3, envoy_data_plane.envoy.config.route.v3"


def run(*command: str) -> float:
    """Seconds until a Python command has ended."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


async def serve(folder: Path) -> float:
    """Seconds from the start of a server until it is ready to serve xDS."""
    xds, admin = (f"127.0.0.1:{free_port('127.0.0.1')}" for _ in range(2))
    began = time.perf_counter()
    with ServerProcess(_EXAMPLE, folder / "ca", xds, admin, folder / "log") as server:
        await server.wait_ready()
        return time.perf_counter() - began


def main() -> None:
    """Print the medians as JSON."""
    seconds: dict[str, list[float]] = {"help": [], "serve_ready": [], "import": [], "python": []}
    for _ in range(_ROUNDS):
        seconds["python"].append(run("-c", ""))
        seconds["help"].append(run("-m", "xds_server", "--help"))
        seconds["import"].append(run("-c", _IMPORT))
        with tempfile.TemporaryDirectory() as folder:
            seconds["serve_ready"].append(asyncio.run(serve(Path(folder))))
    medians = {name: round(statistics.median(each), 3) for name, each in seconds.items()}
    ratio = round(medians["serve_ready"] / medians["import"], 2)
    print(json.dumps({"benchmark": "start", "seconds": medians, "serve_to_import": ratio}))


if __name__ == "__main__":
    main()
