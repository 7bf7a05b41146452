"""Callers over a network: each shows a credential, and may be the waypoints of its account only."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from translators.ir.waypoint import WaypointName
from translators.wire.node import Node
from xds_server.identity.peer import (
    Caller,
    Denied,
    LoopbackAuthenticator,
    Peer,
    Proxy,
    Reason,
    claimed_proxy,
    claimed_waypoint,
)

AccountOf = Callable[[WaypointName], str | None]
"""The service account that a waypoint's Envoys run as; None if there is no such waypoint."""


class Credentials(Protocol):
    """A way to know callers."""

    @property
    def needs_certificate(self) -> bool:
        """Whether nobody may connect without a certificate of their own."""

    @property
    def reviews(self) -> Mapping[str, int]:
        """How often somebody else was asked who a caller is, by answer."""

    def problems(self) -> Sequence[str]:
        """Why callers can't be known at present."""

    async def close(self) -> None:
        """Close connections to others."""

    async def identify(self, peer: Peer) -> Caller:
        """Whose credential the peer shows; ``account`` is never None. Raises Denied."""


class NetworkAuthenticator:
    """Asks for credentials where there is TLS, and believes this host where there is none.

    A waypoint must exist, and its Envoys must be its own service account. Who claims one that does
    not exist is denied: xDS is served once all objects are read, so it isn't merely unknown yet.
    """

    def __init__(self, credentials: Credentials, account_of: AccountOf) -> None:
        self._credentials = credentials
        self._account_of = account_of
        self._local = LoopbackAuthenticator()

    async def identify(self, peer: Peer) -> Caller:
        """Who the peer is. Raises Denied."""
        if peer.is_secure:
            return await self._credentials.identify(peer)
        return await self._local.identify(peer)

    def admit(self, caller: Caller, node: Node) -> Proxy:
        """The proxy that the caller may be. Raises Denied."""
        if caller.account is None:
            return self._local.admit(caller, node)
        waypoint = claimed_waypoint(node)
        self._require_own(caller, waypoint)
        return claimed_proxy(node, waypoint, f"{caller.account}/{caller.instance or node.id}")

    def _require_own(self, caller: Caller, waypoint: WaypointName) -> None:
        account = caller.account
        foreign = Denied(
            f"service account {account} is not the one of waypoint {waypoint}",
            Reason.OTHER_ACCOUNT,
        )
        if account is None or account.namespace != waypoint.namespace:
            raise foreign
        wanted = self._account_of(waypoint)
        if wanted is None:
            raise Denied(
                f"there is no waypoint {waypoint} for service account {account} to be",
                Reason.UNKNOWN_WAYPOINT,
            )
        if account.name != wanted:
            raise foreign
