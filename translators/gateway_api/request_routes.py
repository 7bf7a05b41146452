"""What a service port does with each request: its HTTPRoutes and GRPCRoutes in one order.

What no consumer route of a client's namespace matches is answered 404, just as it is for a service
with producer routes.
"""

from collections.abc import Iterable, Iterator

from translators.gateway_api.attachment import by_audience
from translators.gateway_api.forwarding import DEFAULT_RETRY
from translators.gateway_api.precedence import Ranked, in_order
from translators.gateway_api.rules import ranked_routes
from translators.gateway_api.scope import Scope
from translators.gateway_api.served import Served
from translators.ir.route import DirectResponse, Forward, Route, RouteMatch, WeightedBackend
from translators.resources.grpcroute import GRPCRoute
from translators.resources.httproute import HTTPRoute

RequestRoute = HTTPRoute | GRPCRoute


def port_routes(
    scope: Scope, service: Served, port: int, own_cluster: str, routes: Iterable[RequestRoute]
) -> tuple[Route, ...]:
    """What a service port does with each request, in the order in which routes are tried."""
    attached = by_audience(routes, service.meta.namespace)
    first = (
        route
        for namespace in sorted(attached.consumers)
        for route in _consumer_routes(scope, port, namespace, attached.consumers[namespace])
    )
    producers = attached.producers
    last = _ordered(scope, port, producers) if producers else (_default(own_cluster),)
    return (*first, *last)


def _consumer_routes(
    scope: Scope, port: int, namespace: str, routes: list[RequestRoute]
) -> Iterator[Route]:
    yield from _ordered(scope, port, routes, (namespace,))
    unmatched = RouteMatch(peer_namespaces=(namespace,))
    yield Route(f"{namespace}.unmatched", unmatched, DirectResponse(404))


def _ordered(
    scope: Scope, port: int, routes: list[RequestRoute], peers: tuple[str, ...] = ()
) -> tuple[Route, ...]:
    def ranked() -> Iterator[Ranked]:
        for route in routes:
            yield from ranked_routes(scope, route, port, peers)

    return in_order(ranked())


def _default(cluster: str) -> Route:
    """Everything goes to the service itself, as if there were no waypoint."""
    return Route("default", RouteMatch(), Forward((WeightedBackend(cluster),), retry=DEFAULT_RETRY))
