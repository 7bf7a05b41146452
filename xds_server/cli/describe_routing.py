"""What a waypoint does with the requests and connections to a service, in the order it is done."""

from collections.abc import Iterable, Iterator
from typing import Any

from translators.authorization.attachment import (
    BY_TARGET,
    TOKENS_BY_TARGET,
    Policy,
    attached,
    attached_to_waypoint,
    layered_policies,
)
from translators.authorization.guard import is_dry_run
from translators.gateway_api.indexes import GRPC_ROUTES, HTTP_ROUTES, TCP_ROUTES, TLS_ROUTES
from translators.gateway_api.protocol import protocol_of
from translators.gateway_api.served import Served, protocol_at
from translators.gateway_api.services import ServiceConfig
from translators.ir.listener import ConnectionRule
from translators.ir.origin import Origin
from translators.ir.route import DirectResponse, Forward, PathKind, Redirect, Route, RouteMatch
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.resources.core import ServicePort
from translators.world import Index, Reader
from xds_server.cli.describe_text import Facts, Value

_ROUTES: tuple[Index[Any], ...] = (HTTP_ROUTES, GRPC_ROUTES, TCP_ROUTES, TLS_ROUTES)
_ORDER = ("CUSTOM", "TOKENS", "DENY", "ALLOW", "AUDIT")
_TOKENS_FIRST = ("TOKENS", "CUSTOM", "DENY", "ALLOW", "AUDIT")


def port_facts(service: Served, config: ServiceConfig | None) -> list[Value]:
    """Each port with the routes that are tried there; ``config`` is None without a waypoint."""
    return [_port(service, port, config) for port in service.ports]


def policy_facts(
    reader: Reader, mesh: Mesh, waypoint: WaypointName, service: Served
) -> list[Value]:
    """The policies that the waypoint enforces for a service, in the order in which they decide."""
    policies: list[Policy] = [
        *attached(reader, mesh, waypoint, service, BY_TARGET),
        *attached(reader, mesh, waypoint, service, TOKENS_BY_TARGET),
    ]
    return _in_order(reader, mesh, waypoint, policies)


def pod_policy_facts(reader: Reader, mesh: Mesh, waypoint: WaypointName) -> list[Value]:
    """The policies that the waypoint enforces for pods' own addresses."""
    policies: list[Policy] = [
        *attached_to_waypoint(reader, mesh, waypoint, BY_TARGET),
        *attached_to_waypoint(reader, mesh, waypoint, TOKENS_BY_TARGET),
    ]
    return _in_order(reader, mesh, waypoint, policies)


def _in_order(
    reader: Reader, mesh: Mesh, waypoint: WaypointName, policies: list[Policy]
) -> list[Value]:
    layered = layered_policies(reader, mesh, waypoint)
    order = _TOKENS_FIRST if mesh.tokens_before_custom else _ORDER
    policies.sort(key=lambda policy: _rank(order, policy))
    rows = [(policy, "tunnel") for policy in layered] + [(policy, "request") for policy in policies]
    return [
        {
            "order": number,
            "action": _action(policy),
            "policy": f"{policy.kind} {policy.meta.namespace}/{policy.meta.name}",
            "target": _targets(policy),
            "decides": f"on the {where}" if not _is_shadow(policy) else "nothing: dry run",
        }
        for number, (policy, where) in enumerate(rows, 1)
    ]


def ignored_facts(reader: Reader, service: Served) -> list[Value]:
    """The routes and policies that name a service which no waypoint serves: nobody heeds them."""
    where = (service.kind, service.meta.namespace, service.meta.name)
    found = [
        *(one for index in _ROUTES for one in reader.select(index, *where)),
        *reader.select(BY_TARGET, *where),
        *reader.select(TOKENS_BY_TARGET, *where),
    ]
    return [f"{one.kind} {one.meta.namespace}/{one.meta.name}" for one in found]


def _port(service: Served, port: ServicePort, config: ServiceConfig | None) -> Facts:
    protocol = protocol_at(service, port)
    facts: Facts = {"port": port.port, "name": port.name, "protocol": _declared(port)}
    if protocol is None:
        why = "its names are resolved on demand" if port.protocol == "TCP" else "it is no TCP port"
        return facts | {"routes": f"not served: {why}"}
    routes = list(_routes(config, port.port)) if config else []
    return facts | {"routes": [{"order": n, **one} for n, one in enumerate(routes, 1)]}


def _declared(port: ServicePort) -> str:
    protocol = protocol_of(port)
    match protocol:
        case None:
            return port.protocol
        case _:
            return "auto (not declared: sniffed)" if protocol == "auto" else str(protocol)


def _routes(config: ServiceConfig, port: int) -> Iterator[dict[str, Value]]:
    """What is tried on requests, then what is tried on connections that carry none."""
    for table in config.tables:
        if table.port == port:
            yield from (_request_route(route) for route in table.routes)
    names = [found for found in config.tls_hosts if _is_at(found.authorities, port)]
    for named in names:
        server = "any other server name" if named.server_name == "*" else named.server_name
        yield from (_connection_route(rule, f"TLS to {server}") for rule in named.rules)
    for host in config.connect_hosts:
        if not names and _is_at(host.authorities, port):
            yield from (_connection_route(rule, "connections") for rule in host.rules)
    for binding in config.bindings:
        if not names and binding.port == port and binding.tcp is not None:
            what = "any other connection"
            yield _row(None, "default", what, _backend(binding.tcp.cluster))


def _is_at(authorities: Iterable[str], port: int) -> bool:
    return any(authority.endswith(f":{port}") for authority in authorities)


def _request_route(route: Route) -> dict[str, Value]:
    return _row(route.origin, route.name, _matched(route.match), _done(route))


def _connection_route(rule: ConnectionRule, what: str) -> dict[str, Value]:
    shares = [(share.cluster, share.weight) for share in rule.shares]
    matched = f"{what} from {_peers(rule.peer_namespaces)}" if rule.peer_namespaces else what
    return _row(rule.origin, rule.name, matched, _weighted(shares, "refused"))


def _row(origin: Origin | None, rule: str, match: str, action: str) -> dict[str, Value]:
    owner = f"{origin.kind} {origin.namespace}/{origin.name}" if origin else "<default>"
    return {"route": owner, "rule": rule, "match": match, "action": action}


def _matched(match: RouteMatch) -> str:
    """The conditions of a match in words; ``any request`` if there are none."""
    parts = [
        *([f"from {_peers(match.peer_namespaces)}"] if match.peer_namespaces else []),
        *(["gRPC"] if match.grpc else []),
        *([match.method] if match.method else []),
        *_path(match),
        *(f"header {one.name}{'~' if one.regex else '='}{one.value}" for one in match.headers),
        *(f"query {one.name}{'~' if one.regex else '='}{one.value}" for one in match.query),
    ]
    return " ".join(parts) or "any request"


def _path(match: RouteMatch) -> list[str]:
    match match.path.kind:
        case PathKind.PREFIX:
            value = match.path.value
            return [] if value == "/" else [f"path {value.rstrip('/')}/*"]
        case PathKind.EXACT:
            return [f"path {match.path.value}"]
        case PathKind.REGEX:
            return [f"path ~{match.path.value}"]


def _peers(namespaces: Iterable[str]) -> str:
    return f"namespace {', '.join(namespaces)}"


def _done(route: Route) -> str:
    match route.action:
        case Forward(backends=backends, invalid_status=status):
            return _weighted([(one.cluster, one.weight) for one in backends], f"answer {status}")
        case Redirect(status=status):
            return f"redirect {status}"
        case DirectResponse(status=status):
            return f"answer {status}"


def _weighted(shares: list[tuple[str | None, int]], invalid: str) -> str:
    """Where to, with weights if there is a choice; a share without a cluster is ``invalid``."""
    total = sum(weight for _, weight in shares)
    if not total:
        return invalid
    return ", ".join(
        (_backend(cluster) if cluster else invalid)
        + (f" ({weight}/{total})" if len(shares) > 1 else "")
        for cluster, weight in shares
    )


def _backend(cluster: str) -> str:
    """``host:port`` of a cluster, whose name is ``direction|port|…|host``."""
    _, port, _, host = cluster.split("|")
    return f"to {host}:{port}"


def _rank(order: tuple[str, ...], policy: Policy) -> tuple[int, str, str]:
    action = policy.action if isinstance(policy, AuthorizationPolicy) else "TOKENS"
    rank = order.index(action) if action in order else len(order)
    return rank, policy.meta.namespace, policy.meta.name


def _action(policy: Policy) -> str:
    if isinstance(policy, AuthorizationPolicy):
        return "DENY everything (unreadable)" if policy.unreadable else policy.action
    return "verify tokens"


def _targets(policy: Policy) -> str:
    named = ", ".join(f"{one.kind} {one.name}" for one in policy.targets)
    return named or f"Namespace {policy.meta.namespace}"


def _is_shadow(policy: Policy) -> bool:
    return isinstance(policy, AuthorizationPolicy) and is_dry_run(policy)
