"""A service port, as a waypoint serves it: what it speaks, who guards it, which routes it has."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from translators.gateway_api.attachment import R, attached_routes, takes
from translators.gateway_api.indexes import (
    TCP_ROUTES,
    TLS_ROUTES,
)
from translators.gateway_api.names import authority, http_name, tcp_name
from translators.gateway_api.protocol import PortProtocol
from translators.gateway_api.references import ServedPort
from translators.gateway_api.request_routes import PortRequests
from translators.gateway_api.scope import Scope
from translators.gateway_api.served import Host, Served, origin_of
from translators.gateway_api.upstreams import Upstream
from translators.ir.authentication import ANYONE, Authentication
from translators.ir.authorization import OPEN, Authorization
from translators.ir.origin import Origin
from translators.resources.core import ServicePort
from translators.resources.serviceentry import ServiceEntry
from translators.resources.tcproute import TCPRoute, TLSRoute
from translators.world import Index


class PortGuard(Protocol):
    """What protects a service port, by what is being decided."""

    @property
    def http(self) -> Authorization:
        """Decided on each request."""

    @property
    def tcp(self) -> Authorization:
        """Decided on connections that carry no HTTP."""

    @property
    def connect(self) -> Authorization:
        """Decided on the CONNECT to a port whose protocol is not declared."""

    @property
    def tls(self) -> Authorization | None:
        """Decided on TLS handshakes, if some rule asks for their server name."""

    @property
    def tls_connect(self) -> Authorization:
        """Decided on the CONNECT where ``tls`` is decided later."""

    @property
    def layered(self) -> Authorization:
        """Decided on every CONNECT, before all others."""

    @property
    def authentication(self) -> Authentication:
        """What requests must show."""

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        """The clusters that all this leads to, with the ports whose endpoints they have."""


@dataclass(frozen=True, slots=True)
class Unguarded:
    """No policy at all."""

    http: Authorization = OPEN
    tcp: Authorization = OPEN
    connect: Authorization = OPEN
    tls: Authorization | None = None
    tls_connect: Authorization = OPEN
    layered: Authorization = OPEN
    authentication: Authentication = ANYONE
    upstreams: tuple[Upstream, ...] = ()


GuardOf = Callable[[int], PortGuard]
"""Gives what protects a port of the service, by its number."""


def unguarded(_port: int) -> PortGuard:
    """The guard of services without policies."""
    return Unguarded()


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a service, at one of its hosts, that is translated for a waypoint."""

    scope: Scope
    service: Served
    at: Host
    given: ServicePort
    protocol: PortProtocol
    guard: PortGuard
    requests: PortRequests

    @property
    def host(self) -> str:
        """The fully qualified name of the host."""
        return self.at.name

    @property
    def number(self) -> int:
        """The number that clients know."""
        return self.given.port

    @property
    def on_demand(self) -> bool:
        """Whether names are resolved when requests for them come."""
        served = self.service
        return isinstance(served, ServiceEntry) and served.resolution == "DYNAMIC_DNS"

    @property
    def http_name(self) -> str | None:
        """The name of its HTTP chain, if it has one."""
        return http_name(self.number, self.host) if self.protocol.speaks_http else None

    @property
    def tcp_name(self) -> str | None:
        """The name of its TCP chain, if it has one."""
        return tcp_name(self.number, self.host) if self.protocol.forwards_bytes else None

    @property
    def authorities(self) -> tuple[str, ...]:
        """What a CONNECT to the port names, for each address of the host."""
        return tuple(authority(address, self.number) for address in self.at.addresses)

    @property
    def range_authorities(self) -> tuple[str, ...]:
        """The same for each range of addresses of the host."""
        return tuple(authority(each, self.number) for each in self.at.ranges)

    @property
    def origin(self) -> Origin:
        """The service."""
        return origin_of(self.service)

    @property
    def reads_server_names(self) -> bool:
        """Whether its connections go by their server name, for the sake of a route or a policy."""
        by_policy = self.protocol is PortProtocol.TLS and self.guard.tls is not None
        return by_policy or bool(self.tls_routes())

    @property
    def place(self) -> ServedPort:
        """Where its routes apply."""
        return ServedPort(self.service.key, self.number)

    def tcp_routes(self) -> list[TCPRoute]:
        """The routes for connections that carry no HTTP."""
        return self._routes(TCP_ROUTES)

    def tls_routes(self) -> list[TLSRoute]:
        """The routes for TLS connections, by server name."""
        return self._routes(TLS_ROUTES)

    def _routes(self, index: Index[R]) -> list[R]:
        if not takes(self.protocol, index.kind):
            return []
        return attached_routes(self.scope.reader, index, self.service, self.number)
