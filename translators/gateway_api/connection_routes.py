"""What a service port does with connections that are forwarded as they are: TCP and TLS routes.

Of the routes for the same connections the oldest counts, and of its rules the first. A rule that
can't be followed refuses, and so does the share of a backend that can't be had. TLS routes are
looked at before TCP routes (as in Istio), which get what no TLS route has a server name for.
"""

from collections.abc import Iterable, Iterator

from translators.gateway_api.attachment import Attached, by_audience
from translators.gateway_api.backends import weight_issues
from translators.gateway_api.clusters import outbound_cluster, own_tcp_cluster, tcp_cluster
from translators.gateway_api.endpoints import Destination
from translators.gateway_api.issues import Issue, check, unusable
from translators.gateway_api.references import (
    Referrer,
    ServedPort,
    Target,
    referrer_of,
    resolve_ref,
)
from translators.gateway_api.scope import Scope
from translators.gateway_api.texts import is_server_name
from translators.ir.cluster import ServiceCluster
from translators.ir.listener import ConnectionRule, Share
from translators.ir.origin import Origin
from translators.ir.tls import TlsHost
from translators.ir.waypoint import Mesh
from translators.resources.tcproute import TcpBackend, TCPRoute, TLSRoute
from translators.world import Reader

ConnectionRoute = TCPRoute | TLSRoute

ANY_NAME = "*"
"""The server name of a route for all connections, also for those that have none."""


def connection_rules(
    scope: Scope, at: ServedPort, routes: Iterable[TCPRoute]
) -> tuple[ConnectionRule, ...]:
    """What becomes of the connections to a port; empty if the port has no routes."""
    attached = by_audience(routes, at.served.namespace)
    consumers = (
        _rule(scope, at, attached.consumers[namespace][0], (namespace,))
        for namespace in sorted(attached.consumers)
    )
    return (*consumers, *(_rule(scope, at, route) for route in attached.producers[:1]))


def tls_hosts(
    scope: Scope,
    at: ServedPort,
    own_cluster: str,
    authorities: tuple[str, ...],
    routes: Iterable[TLSRoute],
    others: Iterable[TCPRoute],
) -> tuple[TlsHost, ...]:
    """What becomes of the connections to a port by their server name.

    A name that no route has is refused, unless there are TCP routes, or no routes but for other
    namespaces' clients.
    """
    routes = tuple(routes)
    home = at.served.namespace
    tls, tcp = by_audience(routes, home), by_audience(others, home)
    names = {name for route in routes for name in server_names(route)}
    refused = bool(tls.producers or tcp.producers)
    rest = () if refused else (ConnectionRule("default", (Share(own_cluster),)),)
    return tuple(
        TlsHost(name, authorities, (*_rules(scope, at, name, tls, tcp), *rest))
        for name in sorted(names | {ANY_NAME})
    )


def connection_issues(
    reader: Reader, mesh: Mesh, route: ConnectionRoute, referrer: Referrer
) -> Iterator[Issue]:
    """All that is wrong with a route; field paths are below it."""
    yield from fatal_issues(route)
    only_first = f"of the rules of a {route.kind} only the first counts"
    yield from check("spec.rules[1]", only_first, holds=len(route.rules) <= 1)
    if isinstance(route, TLSRoute):
        yield from _name_issues(route)
    for index, backend in enumerate(_backends(route)):
        found = resolve_ref(reader, mesh, referrer, backend.ref)
        if isinstance(found, Issue):
            yield found.below(f"spec.rules[0].backendRefs[{index}]")


def fatal_issues(route: ConnectionRoute) -> Iterator[Issue]:
    """Whatever makes a route refuse all of its connections; field paths are below the route."""
    for path, reason in route.rules[0].unreadable if route.rules else ():
        yield unusable(f"spec.rules[0].{path}", reason)
    for issue in weight_issues(_backends(route)):
        yield issue.below("spec.rules[0]")


def has_names(route: TLSRoute) -> bool:
    """Whether any server name can lead to the route."""
    return bool(server_names(route))


def server_names(route: TLSRoute) -> tuple[str, ...]:
    """The server names of a route in lower case; a route without any is for all of them."""
    if not route.hostnames:
        return (ANY_NAME,)
    names = (name.lower() for name in route.hostnames)
    return tuple(name for name in names if is_server_name(name))


def outbound_connections(
    scope: Scope, at: ServedPort, routes: Iterable[ConnectionRoute]
) -> Iterator[tuple[ServiceCluster, Destination | None]]:
    """The clusters of routes that no service of this waypoint brings along."""
    for route in routes:
        for backend in _backends(route):
            target = resolve_ref(scope.reader, scope.mesh, referrer_of(route, at), backend.ref)
            if isinstance(target, Target) and own_tcp_cluster(scope, target) is None:
                yield outbound_cluster(scope, target)


def _rules(
    scope: Scope, at: ServedPort, name: str, tls: Attached[TLSRoute], tcp: Attached[TCPRoute]
) -> Iterator[ConnectionRule]:
    """What becomes of connections with a server name, for each audience that has any routes."""
    for namespace in sorted(tls.consumers.keys() | tcp.consumers.keys()):
        routes = tls.consumers.get(namespace, [])
        found = _best(name, routes) or next(iter(tcp.consumers.get(namespace, [])), None)
        yield _rule_or_refusal(scope, at, found, (namespace,))
    if tls.producers or tcp.producers:
        found = _best(name, tls.producers) or next(iter(tcp.producers), None)
        yield _rule_or_refusal(scope, at, found, ())


def _best(name: str, routes: Iterable[TLSRoute]) -> ConnectionRoute | None:
    """The route with the exact name, else with the longest pattern that covers all of it.

    Of equals it is the oldest.
    """
    covering = (
        ((pattern == name, len(pattern)), route)
        for route in routes
        for pattern in server_names(route)
        if _covers(pattern, name)
    )
    return max(covering, key=lambda found: found[0], default=(None, None))[1]


def _covers(pattern: str, name: str) -> bool:
    return pattern in (ANY_NAME, name) or (pattern.startswith("*.") and name.endswith(pattern[1:]))


def _rule_or_refusal(
    scope: Scope, at: ServedPort, route: ConnectionRoute | None, peers: tuple[str, ...]
) -> ConnectionRule:
    if route is None:
        return ConnectionRule("unmatched", (), peers)
    return _rule(scope, at, route, peers)


def _rule(
    scope: Scope, at: ServedPort, route: ConnectionRoute, peers: tuple[str, ...] = ()
) -> ConnectionRule:
    meta = route.meta
    refused = not route.rules or any(fatal_issues(route))
    return ConnectionRule(
        name=f"{meta.namespace}.{meta.name}.0",
        shares=() if refused else tuple(_shares(scope, at, route)),
        peer_namespaces=peers,
        origin=Origin(route.kind, meta.namespace, meta.name, "spec.rules[0]"),
    )


def _shares(scope: Scope, at: ServedPort, route: ConnectionRoute) -> Iterator[Share]:
    referrer = referrer_of(route, at)
    for backend in _backends(route):
        if backend.weight > 0:
            target = resolve_ref(scope.reader, scope.mesh, referrer, backend.ref)
            cluster = tcp_cluster(scope, target) if isinstance(target, Target) else None
            yield Share(cluster, backend.weight)


def _backends(route: ConnectionRoute) -> tuple[TcpBackend, ...]:
    return route.rules[0].backends if route.rules else ()


def _name_issues(route: TLSRoute) -> Iterator[Issue]:
    for index, name in enumerate(route.hostnames):
        valid = is_server_name(name.lower())
        yield from check(f"spec.hostnames[{index}]", f"{name!r} is no host name", holds=valid)
