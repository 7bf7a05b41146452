"""A secure ADS server with an authority of its own, and clients that show something to it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc

from tests.support.adsclient import AdsClient
from tests.support.adsserver import BANK, SHOP, Running, World, running
from tests.support.resources import resource
from translators.ir.waypoint import WaypointName
from translators.wire.resource import TypeUrl
from xds_server.ads import AdsLimits
from xds_server.identity.authority import Authority
from xds_server.identity.network import Credentials, NetworkAuthenticator
from xds_server.identity.server_certificate import RotatingServerCertificate
from xds_server.identity.spiffe import SpiffeId

ACCOUNTS = {SHOP: "waypoint", BANK: "teller"}
"""The service accounts of the waypoints that there are."""


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Secure:
    """A server under test. ``accounts`` may be changed, as Gateways are."""

    plane: Running
    authority: Authority
    certificate: RotatingServerCertificate
    accounts: dict[WaypointName, str]

    def client(
        self,
        variant: str,
        waypoint: WaypointName = SHOP,
        token: str | None = None,
        svid: SpiffeId | None = None,
        **more: Any,
    ) -> AdsClient:
        """A client that verifies the server, and shows a token or a certificate of the mesh."""
        metadata = () if token is None else (("authorization", f"Bearer {token}"),)
        credentials = more.pop("credentials", None) or self.trusting(self.authority, svid)
        return self.plane.client(
            variant, waypoint, credentials=credentials, metadata=metadata, **more
        )

    def trusting(
        self, issuer: Authority, svid: SpiffeId | None, ttl: timedelta = timedelta(hours=1)
    ) -> grpc.ChannelCredentials:
        """Credentials that trust the server's roots; the SVID is of any issuer."""
        roots = self.authority.trust_bundle()
        if svid is None:
            return grpc.ssl_channel_credentials(roots)
        shown = issuer.issue(svid, now(), ttl)
        return grpc.ssl_channel_credentials(roots, shown.key, shown.chain)


@asynccontextmanager
async def secure(
    authority: Authority,
    credentials: Credentials,
    limits: AdsLimits | None = None,
    ttl: timedelta = timedelta(hours=1),
    accounts: Mapping[WaypointName, str] = ACCOUNTS,
) -> AsyncIterator[Secure]:
    """A server in which the shop has ``ware`` and the bank ``treasure``, of every type."""
    world = World()
    world.set(SHOP, *(resource(type_url, "ware") for type_url in TypeUrl))
    world.set(BANK, *(resource(type_url, "treasure") for type_url in TypeUrl))
    current = dict(accounts)
    certificate = RotatingServerCertificate(
        authority, ["127.0.0.1"], now, asks_clients=credentials.needs_certificate, ttl=ttl
    )
    async with running(
        limits,
        world=world,
        authenticator=NetworkAuthenticator(credentials, current.get),
        credentials=certificate.credentials(),
    ) as plane:
        yield Secure(plane, authority, certificate, current)


async def loot(client: AdsClient, *asked: str) -> set[str]:
    """The names of all that can be had by asking for this, of every type."""
    for type_url in TypeUrl:
        await client.subscribe(type_url, *asked)
    return {name for response in await client.quiesce() for name in response.contents}


async def refusal(client: AdsClient) -> tuple[grpc.StatusCode, str]:
    """How the server ends a stream that asks for something."""
    with suppress(grpc.aio.AioRpcError):  # it may have been ended before it asked
        await client.subscribe(TypeUrl.CLUSTER, "*")
    return await client.status()
