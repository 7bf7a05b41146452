"""What is to be said about routes and what they route (Gateway API conditions, Istio's words)."""

from collections.abc import Iterator
from typing import assert_never

from translators.gateway_api.attachment import takes
from translators.gateway_api.binding import Bound, NotBound, canary_of, is_waypoint, waypoint_of
from translators.gateway_api.connection_routes import (
    connection_issues,
    has_names,
)
from translators.gateway_api.connection_routes import fatal_issues as fatal_connection_issues
from translators.gateway_api.entries import ADDRESS_SERVED, entry_conditions, missing_waypoint
from translators.gateway_api.indexes import MeshRoute, is_parent
from translators.gateway_api.inherited import own_or_inherited
from translators.gateway_api.issues import Issue, Subject
from translators.gateway_api.labels import INGRESS_USE_WAYPOINT
from translators.gateway_api.names import virtual_ips
from translators.gateway_api.references import Referrer, ServedPort, referrer_of
from translators.gateway_api.requirement import requirement_conditions
from translators.gateway_api.rivals import lost_claims
from translators.gateway_api.rules import Rule, fatal_issues, rule_issues, usable_matches
from translators.gateway_api.served import (
    KINDS,
    Served,
    find_port,
    find_served,
    origin_of,
    protocol_at,
)
from translators.ir.condition import Condition
from translators.ir.origin import Origin
from translators.ir.waypoint import Mesh
from translators.resources.core import Service, ServicePort
from translators.resources.gateway import Gateway
from translators.resources.grpcroute import GRPCRoute
from translators.resources.httproute import HTTPRoute, ParentRef
from translators.resources.metadata import ObjectKey
from translators.resources.tcproute import TCPRoute, TLSRoute
from translators.world import Reader

WAYPOINT_BOUND = "istio.io/WaypointBound"

_NO_ADDRESS = (
    "spec.clusterIP: there is none yet, so no client can address the service; a cluster assigns "
    "one, to serve the service from files set it to an unused address"
)
_HEADLESS = (
    "spec.clusterIP: None means that clients connect to the pods themselves, so that requests to "
    "the service by name pass by its waypoint; remove it to have the service served"
)

_NO_LABEL = (
    "istio.io/use-waypoint label missing from parent and parent namespace; "
    "in ambient mode, route will not be respected"
)
_MAX_NAMED = 10  # issues that a message names; the rest are counted


def service_conditions(reader: Reader, mesh: Mesh, service: Served) -> tuple[Condition, ...]:
    """Whether a service got the waypoint that it asks for, and can be reached through it.

    Nothing is said of a service that asks for none, unless it is a ServiceEntry that needs one.
    """
    bound, origin = waypoint_of(reader, service), origin_of(service)
    required = requirement_conditions(reader, service)
    if not isinstance(bound, Bound):
        lost = () if bound is None else (_not_bound(origin, bound),)
        return (*lost, *missing_waypoint(service), *required)
    ingress, canary = _ingress(reader, service), _lost_canary(reader, service)
    message = f"Successfully attached to waypoint {bound.waypoint}{ingress}{canary}"
    attached = Condition(origin, WAYPOINT_BOUND, True, "WaypointAccepted", message)
    if isinstance(service, Service):
        return (attached, *_without_address(origin, service), *required)
    return (attached, *entry_conditions(reader, mesh, service))


def _not_bound(origin: Origin, bound: NotBound) -> Condition:
    return Condition(origin, WAYPOINT_BOUND, False, bound.reason, bound.message)


def _without_address(origin: Origin, service: Service) -> Iterator[Condition]:
    """That no client can address the service, and what to do about it."""
    if virtual_ips(service):
        return
    reason, message = ("Headless", _HEADLESS) if service.headless else ("NoClusterIP", _NO_ADDRESS)
    yield Condition(origin.at("spec.clusterIP"), ADDRESS_SERVED, False, reason, message)


def route_conditions(reader: Reader, mesh: Mesh, route: MeshRoute) -> tuple[Condition, ...]:
    """The conditions of a route at each of its parents; ``scope`` is ``parentRefs[0]`` and so on.

    Parents that are none of ours to speak for, such as other implementations' Gateways, have
    no conditions.
    """
    return tuple(
        condition
        for index, parent in enumerate(route.parents)
        for condition in _parent_conditions(reader, mesh, route, index, parent)
    )


def _lost_canary(reader: Reader, service: Served) -> str:
    """What Istio adds about a second waypoint that can't be had."""
    canary = canary_of(reader, service)
    if not isinstance(canary, NotBound):
        return ""
    return f". Canary waypoint not attached: {canary.message}"


def _ingress(reader: Reader, service: Served) -> str:
    """What Istio adds about the ingress; the service's label decides before its namespace's."""
    value = own_or_inherited(
        reader, service.meta, lambda meta: meta.labels.get(INGRESS_USE_WAYPOINT)
    )
    if value is None:
        return ""
    if value == "true":
        return ". Ingress traffic will traverse the waypoint"
    return (
        ". Ingress traffic is not using the waypoint, "
        "set the istio.io/ingress-use-waypoint label to true if desired."
    )


def _issues_at(
    reader: Reader, mesh: Mesh, route: MeshRoute, parent: ParentRef, service: Served | None
) -> list[Issue]:
    """All that is wrong with a route at a parent, each once; field paths are below the route."""
    served = ObjectKey(parent.kind, parent.namespace, parent.name)
    ports = [parent.port] if parent.port is not None else _ports(service, route)
    referrers = dict.fromkeys(referrer_of(route, ServedPort(served, port)) for port in ports or [0])
    found = (issue for each in referrers for issue in _issues(reader, mesh, route, each))
    return list(dict.fromkeys(found))


def _ports(service: Served | None, route: MeshRoute) -> list[int]:
    """The ports that a route applies to if it names none."""
    if service is None:
        return []
    return [port.port for port in service.ports if _takes(service, port, route)]


def _issues(reader: Reader, mesh: Mesh, route: MeshRoute, referrer: Referrer) -> Iterator[Issue]:
    match route:
        case HTTPRoute() | GRPCRoute():
            rules: tuple[Rule, ...] = route.rules
            for index, rule in enumerate(rules):
                for issue in rule_issues(reader, mesh, referrer, rule):
                    yield issue.below(f"spec.rules[{index}]")
        case TCPRoute() | TLSRoute():
            yield from connection_issues(reader, mesh, route, referrer)
        case _:
            assert_never(route)


def _parent_conditions(
    reader: Reader, mesh: Mesh, route: MeshRoute, index: int, parent: ParentRef
) -> Iterator[Condition]:
    scope = f"parentRefs[{index}]"
    origin = Origin(route.kind, route.meta.namespace, route.meta.name)
    if is_parent(parent, "Gateway") and _is_our_gateway(reader, parent):
        at = origin.at(f"spec.{scope}")
        message = f"{at.path}: a waypoint takes routes of services only; name a Service"
        yield Condition(at, "Accepted", False, "NotAllowedByListeners", message, scope)
    if not any(is_parent(parent, kind.kind) for kind in KINDS):
        return
    service = find_served(reader, parent.kind, parent.namespace, parent.name)
    if service is not None and _is_foreign(reader, service):
        return
    issues = _issues_at(reader, mesh, route, parent, service)
    refused = _refusal(service, parent, route)
    if refused is not None:
        at = origin.at(f"spec.{scope}")
        message = f"{at.path}: {refused}"
        yield Condition(at, "Accepted", False, "NoMatchingParent", message, scope)
    else:
        lost, all_lost = _rivalry(reader, service, index, route)
        works = _works(route) and not all_lost
        yield from _acceptance(origin, scope, [*issues, *lost], works=works)
    yield _resolved_refs(origin, scope, issues)
    yield _resolved_waypoint(reader, origin, scope, service)


def _is_our_gateway(reader: Reader, parent: ParentRef) -> bool:
    gateway = reader.get(Gateway, parent.namespace, parent.name)
    return gateway is not None and is_waypoint(reader, gateway)


def _is_foreign(reader: Reader, service: Served) -> bool:
    """Whether another implementation's waypoint serves the service, and so speaks for it."""
    bound = waypoint_of(reader, service)
    if not isinstance(bound, Bound):
        return False
    gateway = reader.get(Gateway, bound.waypoint.namespace, bound.waypoint.name)
    return gateway is not None and not is_waypoint(reader, gateway)


def _refusal(service: Served | None, parent: ParentRef, route: MeshRoute) -> str | None:
    """Why a route can't be attached to a parent, or None if it can."""
    if service is None:
        return f'parent service: "{parent.name}" not found'
    if parent.port is not None:
        port = find_port(service, parent.port)
        if port is None:
            ports = ", ".join(str(one.port) for one in service.ports if _takes(service, one, route))
            return (
                f'parent service: "{parent.name}" has no TCP port {parent.port}; '
                f"those that take routes are: {ports or 'none'}"
            )
        if not _takes(service, port, route):
            return f'parent service: "{parent.name}" does {_lacks(route)} on port {parent.port}'
    elif not any(_takes(service, port, route) for port in service.ports):
        return f'parent service: "{parent.name}" does {_lacks(route)} on any port'
    return None


def _takes(service: Served, port: ServicePort, route: MeshRoute) -> bool:
    protocol = protocol_at(service, port)
    return protocol is not None and takes(protocol, type(route))


def _lacks(route: MeshRoute) -> str:
    """What a port that doesn't take a route does not do."""
    match route:
        case HTTPRoute() | GRPCRoute():
            return "not speak HTTP (appProtocol: http)"
        case TCPRoute():
            return "not speak anything but HTTP"
        case TLSRoute():
            return "not declare TLS (appProtocol: tls)"
        case _:
            assert_never(route)


def _rivalry(
    reader: Reader, service: Served | None, index: int, route: MeshRoute
) -> tuple[list[Issue], bool]:
    """What older routes leave nothing of; of requests they always leave something."""
    if service is None or not isinstance(route, TCPRoute | TLSRoute):
        return [], False
    return lost_claims(reader, service, index, route)


def _acceptance(
    origin: Origin, scope: str, issues: list[Issue], *, works: bool
) -> Iterator[Condition]:
    """Accepted if some rule works; PartiallyInvalid besides if some part of the route doesn't."""
    wrong = [issue for issue in issues if issue.subject is Subject.VALUE]
    if wrong and not works:
        yield _from_issues(origin, "Accepted", False, wrong, scope, "")
        return
    yield Condition(origin, "Accepted", True, "Accepted", "Route was valid", scope)
    if wrong:
        yield _from_issues(origin, "PartiallyInvalid", True, wrong, scope, "Dropped Rule: ")


def _works(route: MeshRoute) -> bool:
    """Whether some part of a route does what it says."""
    match route:
        case HTTPRoute() | GRPCRoute():
            return any(map(_rule_works, route.rules))
        case TCPRoute():
            return not any(fatal_connection_issues(route))
        case TLSRoute():
            return has_names(route) and not any(fatal_connection_issues(route))
        case _:
            assert_never(route)


def _rule_works(rule: Rule) -> bool:
    """Whether a rule does what it says for at least one of its matches."""
    return any(usable_matches(rule)) and not any(fatal_issues(rule))


def _resolved_refs(origin: Origin, scope: str, issues: list[Issue]) -> Condition:
    missing = [issue for issue in issues if issue.subject is Subject.REFERENCE]
    if missing:
        return _from_issues(origin, "ResolvedRefs", False, missing, scope, "")
    message = "All references resolved"
    return Condition(origin, "ResolvedRefs", True, "ResolvedRefs", message, scope)


def _resolved_waypoint(
    reader: Reader, origin: Origin, scope: str, service: Served | None
) -> Condition:
    """Whether a waypoint is there that respects the route."""
    bound = waypoint_of(reader, service) if service is not None else None
    match bound:
        case Bound():
            resolved, reason, message = True, "ResolvedWaypoints", "All waypoints resolved"
        case NotBound():
            resolved, reason, message = False, bound.reason, bound.message
        case None:
            message = _NO_LABEL if service is not None else "parent not found"
            resolved, reason = False, "NoWaypoint"
    return Condition(origin, "ResolvedWaypoints", resolved, reason, message, scope)


def _from_issues(
    origin: Origin, kind: str, status: bool, issues: list[Issue], scope: str, prefix: str
) -> Condition:
    """One condition that tells of all these issues; its reason and place are the first one's."""
    first = issues[0]
    told = "; ".join(_told(issue) for issue in issues[:_MAX_NAMED])
    rest = len(issues) - _MAX_NAMED
    message = f"{prefix}{told}" + (f"; and {rest} more" if rest > 0 else "")
    return Condition(origin.at(first.path), kind, status, first.reason, message, scope)


def _told(issue: Issue) -> str:
    return f"{issue.path}: {issue.message}"
