"""Running the Envoy of a trial, and connections through it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from translators.wire import Resource
from xds_server.demo.child import Child
from xds_server.demo.network import LoopbackNetwork
from xds_server.demo.ztunnel import HBONE_PORT, Address
from xds_server.identity.authority import Authority, create_authority
from xds_server.identity.spiffe import SpiffeId
from xds_server.trial.bootstrap import Caller, trial_bootstrap

_CONNECT_S = 5.0
_FIRST_CALLER_PORT = 20001
_SOURCE_PORT = 40000

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Trial:
    """A running Envoy; ``callers`` says where each identity may be spoken through."""

    callers: dict[SpiffeId, Address]
    child: Child

    async def open(self, who: SpiffeId, source: str, destination: Address) -> Streams:
        """A connection of ``who`` from the IP address ``source`` to a service's address.

        The tunnel is asked for when it is opened; one that is refused ends the connection. Raises
        OSError, TimeoutError, or ValueError if the addresses are not of one IP version.
        """
        listen = self.callers[who]
        async with asyncio.timeout(_CONNECT_S):
            reader, writer = await asyncio.open_connection(listen.ip, listen.port)
        writer.write(_proxy_header(source, destination))
        return reader, writer


@asynccontextmanager
async def run_trial(
    envoy: Path,
    folder: Path,
    resources: Iterable[Resource],
    trust_domains: tuple[str, ...],
    callers: Iterable[SpiffeId],
) -> AsyncIterator[Trial]:
    """Start Envoy as the waypoint of these resources and as all of its callers.

    ``folder`` gets its configuration and its log. Raises OSError or ChildFailed.
    """
    with LoopbackNetwork() as network:
        answers = Address(network.ip(3), 8080)
        now = datetime.now(UTC)
        authority = create_authority(now)
        waypoint = authority.issue(SpiffeId(trust_domains[0], "waypost", "waypoint"), now)
        ways = _ways(network.ip(4), authority, callers, now)
        config = trial_bootstrap(
            resources,
            waypoint=(Address(network.ip(2), HBONE_PORT), waypoint),
            trust_domains=trust_domains,
            roots=authority.trust_bundle(),
            callers=ways.values(),
            answers=answers,
        )
        path = folder / "envoy.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        child = Child("envoy", _command(envoy, path), folder / "envoy.log")
        try:
            await child.wait_for(lambda: _listens(answers))
            yield Trial({who: way.listen for who, way in ways.items()}, child)
        finally:
            await asyncio.to_thread(child.stop)


def _ways(
    ip: str, authority: Authority, callers: Iterable[SpiffeId], now: datetime
) -> dict[SpiffeId, Caller]:
    return {
        who: Caller(Address(ip, _FIRST_CALLER_PORT + number), authority.issue(who, now))
        for number, who in enumerate(dict.fromkeys(callers))
    }


def _command(envoy: Path, config: Path) -> list[str]:
    options = ["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]
    return [str(envoy), "-c", str(config), *options, "--file-flush-interval-msec", "50"]


async def _listens(address: Address) -> bool:
    try:
        _, writer = await asyncio.open_connection(address.ip, address.port)
    except OSError:
        return False
    writer.transport.abort()
    return True


def _proxy_header(source: str, destination: Address) -> bytes:
    """PROXY protocol, version 1."""
    versions = {ip_address(source).version, ip_address(destination.ip).version}
    if len(versions) != 1:
        raise ValueError(f"{source} and {destination.ip} are not of one IP version")
    family = f"TCP{versions.pop()}"
    line = f"PROXY {family} {source} {destination.ip} {_SOURCE_PORT} {destination.port}\r\n"
    return line.encode("ascii")
