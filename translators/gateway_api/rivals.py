"""Connections that a TCPRoute or TLSRoute would have, did another route not have them already.

Nothing in a connection tells two routes apart that are for the same port, or for the same server
name: the oldest has it, and the others must be told so. A TLSRoute for all names leaves nothing to
TCPRoutes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from translators.gateway_api.attachment import R, attached_routes, names_service, takes
from translators.gateway_api.connection_routes import ANY_NAME, ConnectionRoute, server_names
from translators.gateway_api.indexes import TCP_ROUTES, TLS_ROUTES
from translators.gateway_api.issues import Issue, Subject
from translators.gateway_api.precedence import seniority
from translators.gateway_api.served import Served, protocol_at
from translators.resources.httproute import ParentRef
from translators.resources.tcproute import TCPRoute, TLSRoute
from translators.world import Reader


@dataclass(frozen=True, slots=True)
class Claim:
    """What a route claims at a parent (``path``: the field that does), and who has it."""

    path: str
    what: str
    owner: ConnectionRoute


def lost_claims(
    reader: Reader, service: Served, index: int, route: ConnectionRoute
) -> tuple[list[Issue], bool]:
    """What older routes have of all that a route claims at its parent of that index.

    The second value tells whether that is everything, so that the route has no effect there.
    """
    claims = list(_claims(reader, service, index, route))
    lost = [claim for claim in claims if claim.owner.key != route.key]
    return list(map(_issue, lost)), bool(lost) and len(lost) == len(claims)


def _claims(reader: Reader, service: Served, index: int, route: ConnectionRoute) -> Iterator[Claim]:
    for port in _ports(service, route.parents[index], route):
        tls = _of_same_clients(attached_routes(reader, TLS_ROUTES, service, port), route)
        match route:
            case TCPRoute():
                tcp = _of_same_clients(attached_routes(reader, TCP_ROUTES, service, port), route)
                owner = _owner(ANY_NAME, tls) or _eldest(tcp) or route
                yield Claim(f"spec.parentRefs[{index}]", f"port {port}", owner)
            case TLSRoute():
                for name in server_names(route):
                    what = f"server name {name} on port {port}"
                    yield Claim("spec.hostnames", what, _owner(name, tls) or route)


def _owner(name: str, routes: list[TLSRoute]) -> TLSRoute | None:
    return _eldest([one for one in routes if name in server_names(one)])


def _of_same_clients(routes: list[R], route: ConnectionRoute) -> list[R]:
    return [one for one in routes if one.meta.namespace == route.meta.namespace]


def _eldest(routes: list[R]) -> R | None:
    return min(routes, key=lambda one: seniority(one.meta), default=None)


def _ports(service: Served, parent: ParentRef, route: ConnectionRoute) -> list[int]:
    """The ports of the service that a parentRef attaches the route to."""
    numbers = {
        port.port
        for port in service.ports
        if (protocol := protocol_at(service, port)) is not None
        and takes(protocol, type(route))
        and names_service(parent, service, port.port)
    }
    return sorted(numbers)


def _issue(claim: Claim) -> Issue:
    owner = claim.owner
    message = f"{claim.what} belongs to {owner.kind} {owner.meta.namespace}/"
    return Issue(claim.path, Subject.VALUE, "Conflicted", message + owner.meta.name)
