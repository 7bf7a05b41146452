"""The HTTPRoutes of a service, and the routes of one of its ports.

A route in the service's namespace is a producer route: it applies to all requests. One in
another namespace is a consumer route (GEP-1294, GEP-1426): it applies only to requests that come
from its own namespace, and for these it replaces the producer's routes altogether. What no
consumer route of such a namespace matches is therefore answered 404, just as it is for a service
with producer routes.
"""

from collections.abc import Iterable, Iterator

from translators.gateway_api.forwarding import DEFAULT_RETRY
from translators.gateway_api.indexes import ROUTES_BY_PARENT, is_parent
from translators.gateway_api.precedence import Ranked, in_order
from translators.gateway_api.rules import RuleContext, rule_routes
from translators.gateway_api.scope import Scope
from translators.ir.route import DirectResponse, Forward, Route, RouteMatch, WeightedBackend
from translators.resources.core import Service
from translators.resources.httproute import HTTPRoute, ParentRef
from translators.world import Reader


def attached_routes(reader: Reader, service: Service, port: int) -> list[HTTPRoute]:
    """The routes that apply to a port of a service, ordered by namespace and name."""
    meta = service.meta
    routes = reader.select(ROUTES_BY_PARENT, "Service", meta.namespace, meta.name)
    return [
        route
        for route in routes
        if any(names_service(parent, service, port) for parent in route.parents)
    ]


def names_service(parent: ParentRef, service: Service, port: int) -> bool:
    """Whether a parentRef names this port of a service, be it by naming no port at all."""
    meta = service.meta
    return (
        is_parent(parent, "Service")
        and (parent.namespace, parent.name) == (meta.namespace, meta.name)
        and parent.port in (None, port)
    )


def port_routes(
    scope: Scope, service: Service, port: int, own_cluster: str, routes: Iterable[HTTPRoute]
) -> tuple[Route, ...]:
    """What a service port does with each request, in the order in which routes are tried."""
    home = service.meta.namespace
    producers: list[HTTPRoute] = []
    consumers: dict[str, list[HTTPRoute]] = {}
    for route in routes:
        if route.meta.namespace == home:
            producers.append(route)
        else:
            consumers.setdefault(route.meta.namespace, []).append(route)
    first = (
        route
        for namespace in sorted(consumers)
        for route in _consumer_routes(scope, port, namespace, consumers[namespace])
    )
    last = _ordered(scope, port, producers) if producers else (_default(own_cluster),)
    return (*first, *last)


def _consumer_routes(
    scope: Scope, port: int, namespace: str, routes: list[HTTPRoute]
) -> Iterator[Route]:
    yield from _ordered(scope, port, routes, (namespace,))
    unmatched = RouteMatch(peer_namespaces=(namespace,))
    yield Route(f"{namespace}.unmatched", unmatched, DirectResponse(404))


def _ordered(
    scope: Scope, port: int, routes: list[HTTPRoute], peers: tuple[str, ...] = ()
) -> tuple[Route, ...]:
    def ranked() -> Iterator[Ranked]:
        for route in routes:
            for index in range(len(route.rules)):
                yield from rule_routes(RuleContext(scope, route, index, port, peers))

    return in_order(ranked())


def _default(cluster: str) -> Route:
    """Everything goes to the service itself, as if there were no waypoint."""
    return Route("default", RouteMatch(), Forward((WeightedBackend(cluster),), retry=DEFAULT_RETRY))
