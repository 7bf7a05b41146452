"""What a service port does with each request: its HTTPRoutes and GRPCRoutes in one order.

What no consumer route of a client's namespace matches is answered 404, just as it is for a service
with producer routes. What a single route adds does not depend on the others, and can be kept.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from translators.gateway_api.backends import outbound
from translators.gateway_api.forwarding import DEFAULT_RETRY
from translators.gateway_api.precedence import Ranked, in_order
from translators.gateway_api.references import Referrer, ServedPort, referrer_of
from translators.gateway_api.rules import Rule, http_terms, ranked_routes
from translators.gateway_api.scope import Scope
from translators.gateway_api.served import Served
from translators.gateway_api.upstreams import Upstream
from translators.ir.origin import Origin
from translators.ir.route import DirectResponse, Forward, Route, RouteMatch, WeightedBackend
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.grpcroute import GRPCRoute
from translators.resources.httproute import HTTPRoute
from translators.resources.metadata import ObjectKey
from translators.world import Reader

RequestRoute = HTTPRoute | GRPCRoute


class RoutePlace(NamedTuple):
    """Where a route is applied: at which port of a waypoint, for whose peers (empty: all).

    Of which service the port is makes a difference for routes of other namespaces only.
    """

    waypoint: WaypointName
    route: ObjectKey
    port: int
    peers: tuple[str, ...] = ()
    consumes: ServedPort | None = None


class RoutePart(NamedTuple):
    """What a route adds to a port, and the clusters that no service of the waypoint brings."""

    ranked: tuple[Ranked, ...] = ()
    upstreams: tuple[Upstream, ...] = ()
    origins: tuple[Origin, ...] = ()


PartOf = Callable[[Reader, Mesh, RoutePlace], RoutePart]
"""Gives what ``route_part`` does, and may remember it."""


class PortRequests(NamedTuple):
    """What a port does with requests, the clusters that takes, and the routes that say so."""

    routes: tuple[Route, ...] = ()
    upstreams: tuple[Upstream, ...] = ()
    origins: tuple[Origin, ...] = ()


def route_part(reader: Reader, mesh: Mesh, place: RoutePlace) -> RoutePart:
    """What a route adds where it is applied; nothing if it does not exist."""
    route = reader.find(place.route)
    if not isinstance(route, HTTPRoute | GRPCRoute):
        return RoutePart()
    scope, referrer = Scope(reader, mesh, place.waypoint), referrer_of(route, place.consumes)
    return RoutePart(
        tuple(ranked_routes(scope, route, referrer, place.port, place.peers)),
        tuple(_upstreams(scope, route, referrer)),
        (Origin(route.kind, route.meta.namespace, route.meta.name),),
    )


def _upstreams(scope: Scope, route: RequestRoute, referrer: Referrer) -> Iterator[Upstream]:
    rules: tuple[Rule, ...] = route.rules
    plain = {rule.backends: rule for rule in rules if not rule.filters}
    for rule in (*plain.values(), *(rule for rule in rules if rule.filters)):
        yield from outbound(scope, referrer, http_terms(rule))


def port_requests(
    scope: Scope,
    service: Served,
    port: int,
    own_cluster: str,
    routes: Iterable[RequestRoute],
    part_of: PartOf,
) -> PortRequests:
    """What a service port does with each request, in the order in which routes are tried."""
    home, parts = service.meta.namespace, dict[ObjectKey, RoutePart]()
    audiences: dict[str, list[RoutePart]] = {}
    for route in routes:
        namespace = route.meta.namespace
        place = RoutePlace(scope.waypoint, route.key, port)
        if namespace != home:
            place = place._replace(peers=(namespace,), consumes=ServedPort(service.key, port))
        parts[route.key] = part_of(scope.reader, scope.mesh, place)
        audiences.setdefault(namespace, []).append(parts[route.key])
    producers = audiences.pop(home, None)
    last = _ordered(producers) if producers else (_default(own_cluster),)
    first = (_consumer_routes(name, audiences[name]) for name in sorted(audiences))
    return PortRequests(
        (*chain.from_iterable(first), *last),
        tuple(one for part in parts.values() for one in part.upstreams),
        tuple(one for part in parts.values() for one in part.origins),
    )


def _consumer_routes(namespace: str, parts: list[RoutePart]) -> Iterator[Route]:
    yield from _ordered(parts)
    unmatched = RouteMatch(peer_namespaces=(namespace,))
    yield Route(f"{namespace}.unmatched", unmatched, DirectResponse(404))


def _ordered(parts: list[RoutePart]) -> tuple[Route, ...]:
    return in_order(one for part in parts for one in part.ranked)


def _default(cluster: str) -> Route:
    """Everything goes to the service itself, as if there were no waypoint."""
    return Route("default", RouteMatch(), Forward((WeightedBackend(cluster),), retry=DEFAULT_RETRY))
