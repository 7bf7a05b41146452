"""What our configuration costs the data plane, against the plainest one that does the same job.

Two waypoints of the same Envoy: ours, configured over ADS from manifests, and a hand-written static
one (tests/support/static_waypoint.yaml: TLS, CONNECT, connection manager, router, HBONE). The same
keep-alive connections go through the same stand-in for ztunnel to the same answering Envoy, in
turns. Requests a second depend on everything that shares the machine; the processor time that a
waypoint spends on a request does not, so both are given.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from benchmarks.plane import processor_s, quantile
from tests.support.certs import CertFolder
from tests.support.controlplane import control_plane, settings
from tests.support.envoyproc import EnvoyProcess
from tests.support.loopback import LoopbackNet
from tests.support.manifests import Manifest, ManifestFolder, gateway, namespace, pod, service
from tests.support.mesh import waypoint_bootstrap
from tests.support.static_waypoint import static_waypoint
from xds_server.demo.ztunnel import Address, Client, Pod, Waypoint, ztunnel_bootstrap

HOME, CONNECTIONS, ROUNDS, ROUND_S = "bench", 16, 7, 2.0
VIP = Address("10.96.7.7", 80)
_REQUEST = b"GET /bench HTTP/1.1\r\nhost: web.bench\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Way:
    """A waypoint under test: where its clients connect, and its process."""

    entrance: tuple[str, int]
    envoy: EnvoyProcess

    def cpu_s(self) -> float:
        """Processor time that the waypoint has used."""
        return processor_s(self.envoy.pid)


class Caller(asyncio.Protocol):
    """A keep-alive connection that sends the next request when it has the answer."""

    def __init__(self, latencies: list[float]) -> None:
        self._latencies = latencies
        self._sent = 0.0
        self._buffer = b""
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        """Count an answer, which ends with the two bytes of its body."""
        self._buffer += data
        if not self._buffer.endswith(b"\r\n\r\nok"):
            return
        if not self._buffer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(self._buffer.decode(errors="replace"))
        self._buffer = b""
        self._latencies.append(time.perf_counter() - self._sent)
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """The end of it."""
        if not self.closed.done():
            self.closed.set_result(None)

    def stop(self) -> None:
        """Close without waiting for the answer."""
        self._transport.abort()

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(_REQUEST)


async def load(way: Way) -> dict[str, float]:
    """One round: requests a second, latencies in ms, processor time a request in microseconds."""
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    callers = [
        (await loop.create_connection(lambda: Caller(latencies), *way.entrance))[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(0.2)
    latencies.clear()
    cpu, began = way.cpu_s(), time.perf_counter()
    await asyncio.sleep(ROUND_S)
    spent, count, cpu = time.perf_counter() - began, len(latencies), way.cpu_s() - cpu
    seen = [1000 * one for one in latencies]
    for caller in callers:
        caller.stop()
    await asyncio.gather(*(caller.closed for caller in callers))
    return {
        "requests_per_s": count / spent,
        "p50_ms": quantile(seen, 0.5),
        "p99_ms": quantile(seen, 0.99),
        "waypoint_cpu_us": 1e6 * cpu / count,
    }


def answering(ip: str) -> Any:
    """The bootstrap of an Envoy that answers every request with two bytes."""
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network."
        "http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "answer",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "direct_response": {"status": 200, "body": {"inline_string": "ok"}},
                        }
                    ],
                }
            ]
        },
        "http_filters": [
            {
                "name": "router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                },
            }
        ],
    }
    address = {"socket_address": {"address": ip, "port_value": 8080}}
    chain = {"filters": [{"name": "manager", "typed_config": manager}]}
    listener = {"name": "answer", "address": address, "filter_chains": [chain]}
    return {"node": {"id": "pod", "cluster": "pod"}, "static_resources": {"listeners": [listener]}}


def served(pod_ip: str) -> list[Manifest]:
    """The manifests that ours is configured from: one service of one pod."""
    return [
        namespace(HOME),
        gateway(HOME),
        pod("web", HOME, pod_ip, {"app": "web"}),
        service("web", HOME, VIP.ip, {"app": "web"}, [("http", VIP.port, 8080)]),
    ]


def plainest(ip: str, pod_ip: str, certs: CertFolder) -> Any:
    """The bootstrap of the hand-written waypoint; of its services only the first is asked."""
    unused = Address(pod_ip, 8081)
    return static_waypoint(
        ip,
        certs.svid(HOME, "waypoint"),
        certs.root,
        http=(VIP, Address(pod_ip, 8080)),
        h2c=(Address("10.96.7.8", 81), unused),
        tcp=(Address("10.96.7.9", 90), unused),
    )


def entrances(ip: str, pod_ip: str, waypoints: Mapping[int, str], certs: CertFolder) -> Any:
    """The bootstrap of the stand-in for ztunnel: at each port the way through one waypoint."""
    caller, identity = certs.svid(HOME, "client"), certs.svid(HOME, "waypoint").uri
    clients = [
        Client(Address(ip, port), caller, VIP, Waypoint(Address(waypoint, 15008), identity))
        for port, waypoint in waypoints.items()
    ]
    pods = [Pod(pod_ip, certs.svid(HOME, "app"))]
    return ztunnel_bootstrap(clients, pods, str(certs.root), Address("127.0.0.1", 0))


@asynccontextmanager
async def two_waypoints(folder: Path) -> AsyncIterator[dict[str, Way]]:
    """Everything up and in sync: ``ours`` and ``plain``."""
    net, certs, manifests = LoopbackNet(), CertFolder(folder / "certs"), folder / "manifests"
    client, ours, plain, pod_ip = map(net.ip, range(1, 5))
    objects = served(pod_ip)
    ManifestFolder(manifests).put("all", *objects)
    async with AsyncExitStack() as stack:
        stack.callback(net.close)

        async def start(name: str, config: Any) -> EnvoyProcess:
            return await stack.enter_async_context(await EnvoyProcess.start(config, folder, name))

        plane = await stack.enter_async_context(
            control_plane(settings(folder), manifests, certs.authority)
        )
        await start("pod", answering(pod_ip))
        await start("ztunnel", entrances(client, pod_ip, {9001: ours, 9002: plain}, certs))
        configured = waypoint_bootstrap(HOME, ours, plane.addresses.xds)
        ways = {
            "ours": Way((client, 9001), await start("ours", configured)),
            "plain": Way((client, 9002), await start("plain", plainest(plain, pod_ip, certs))),
        }
        await plane.until_obeyed(objects)
        yield ways


async def run() -> dict[str, Any]:
    """Rounds in turns; medians of each, and their ratios."""
    figures: dict[str, Any] = {"benchmark": "dataplane", "connections": CONNECTIONS}
    rounds: dict[str, list[dict[str, float]]] = {"ours": [], "plain": []}
    with tempfile.TemporaryDirectory() as folder:
        async with two_waypoints(Path(folder)) as ways:
            for _ in range(ROUNDS):
                for name, way in ways.items():
                    rounds[name].append(await load(way))
    for name, made in rounds.items():
        figures[name] = {
            key: round(statistics.median(each[key] for each in made), 2) for key in made[0]
        }
    ours, plain = figures["ours"], figures["plain"]
    figures["ratio_requests"] = round(ours["requests_per_s"] / plain["requests_per_s"], 3)
    figures["ratio_p99"] = round(ours["p99_ms"] / plain["p99_ms"], 3)
    figures["ratio_cpu"] = round(ours["waypoint_cpu_us"] / plain["waypoint_cpu_us"], 3)
    return figures


def main() -> None:
    """Print the figures as JSON."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    json.dump(asyncio.run(run()), sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
