"""Which routes apply to a port of a service, and to whose traffic.

A route in the service's namespace is a producer route: it applies to everybody. One in another
namespace is a consumer route (GEP-1294, GEP-1426): it applies only to what comes from its own
namespace, and for that it replaces the producers' routes altogether.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from translators.gateway_api.indexes import MeshRoute, is_parent
from translators.gateway_api.precedence import seniority
from translators.gateway_api.protocol import PortProtocol
from translators.gateway_api.served import Served
from translators.resources.httproute import ParentRef
from translators.resources.metadata import KubernetesObject
from translators.resources.tcproute import TCPRoute, TLSRoute
from translators.world import Index, Reader

R = TypeVar("R", bound=MeshRoute)


@dataclass(frozen=True, slots=True)
class Attached(Generic[R]):
    """The routes of a port: the producers', and the consumers' by namespace. Oldest first."""

    producers: list[R] = field(default_factory=list)
    consumers: dict[str, list[R]] = field(default_factory=dict)


def attached_routes(reader: Reader, index: Index[R], service: Served, port: int) -> list[R]:
    """The routes of one kind that apply to a port of a service, ordered by namespace and name."""
    routes = reader.select(index, service.kind, service.meta.namespace, service.meta.name)
    return [
        route
        for route in routes
        if any(names_service(parent, service, port) for parent in route.parents)
    ]


def names_service(parent: ParentRef, service: Served, port: int) -> bool:
    """Whether a parentRef names this port of a service, be it by naming no port at all."""
    meta = service.meta
    return (
        is_parent(parent, service.kind)
        and (parent.namespace, parent.name) == (meta.namespace, meta.name)
        and parent.port in (None, port)
    )


def by_audience(routes: Iterable[R], home: str) -> Attached[R]:
    """The routes by whom they are for; ``home`` is the namespace of the service."""
    attached: Attached[R] = Attached()
    for route in sorted(routes, key=lambda route: seniority(route.meta)):
        if route.meta.namespace == home:
            attached.producers.append(route)
        else:
            attached.consumers.setdefault(route.meta.namespace, []).append(route)
    return attached


def takes(protocol: PortProtocol, kind: type[KubernetesObject]) -> bool:
    """Whether a kind of route can route what a port speaks.

    A port that declares no protocol takes HTTP routes for what turns out to be HTTP, and TCP
    routes for the rest. A server name is looked for only where TLS is declared, because a server
    that speaks first would wait for it.
    """
    if issubclass(kind, TLSRoute):
        return protocol is PortProtocol.TLS
    if issubclass(kind, TCPRoute):
        return protocol.forwards_bytes
    return protocol.speaks_http
