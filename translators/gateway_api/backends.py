"""The backends of a route: whether they exist, and which clusters they are."""

from collections.abc import Iterator
from dataclasses import dataclass

from translators.gateway_api.binding import Bound, waypoint_of
from translators.gateway_api.endpoints import Destination, find_port
from translators.gateway_api.filters import MIRROR, backend_filter_issues
from translators.gateway_api.headers import REQUEST, RESPONSE, edit_of
from translators.gateway_api.issues import Issue, Subject, check
from translators.gateway_api.names import host_of, http_name, outbound_name
from translators.gateway_api.protocol import PortProtocol, http_upstream, protocol_of
from translators.gateway_api.scope import Scope
from translators.ir.cluster import ServiceCluster, UpstreamProtocol
from translators.ir.origin import Origin
from translators.ir.route import Mirror, WeightedBackend
from translators.ir.waypoint import Mesh
from translators.resources.core import Service, ServicePort
from translators.resources.httproute import BackendRef, HttpBackend, HttpRule
from translators.world import Reader

_MAX_WEIGHT = 1_000_000  # Gateway API
_MAX_TOTAL = 2**32 - 1  # Envoy


@dataclass(frozen=True, slots=True)
class Target:
    """A service port that requests can be sent to."""

    service: Service
    port: ServicePort


def rule_backend_issues(reader: Reader, mesh: Mesh, rule: HttpRule) -> Iterator[Issue]:
    """All that is wrong with the backends and mirrors of a rule; field paths are below it."""
    for index, backend in enumerate(rule.backends):
        for issue in _backend_issues(reader, mesh, backend):
            yield issue.below(f"backendRefs[{index}]")
    for index, one in enumerate(rule.filters):
        if one.type == MIRROR and one.mirror is not None:
            found = find_target(reader, mesh, one.mirror.backend)
            if isinstance(found, Issue):
                yield found.below(f"filters[{index}].requestMirror.backendRef")


def weight_issues(rule: HttpRule) -> Iterator[Issue]:
    """Weights that can't be used; field paths are below the rule."""
    for index, backend in enumerate(rule.backends):
        message = f"weight {backend.weight} is out of range"
        valid = 0 <= backend.weight <= _MAX_WEIGHT
        yield from check(f"backendRefs[{index}].weight", message, holds=valid)
    bounded = sum(backend.weight for backend in rule.backends) <= _MAX_TOTAL
    yield from check("backendRefs", "the weights are too much together", holds=bounded)


def weighted_backends(scope: Scope, rule: HttpRule) -> tuple[WeightedBackend, ...]:
    """The backends of a rule that get requests; an invalid one keeps its share, to answer 500.

    Empty if nothing valid would get any.
    """
    chosen = tuple(_weighted(scope, one) for one in rule.backends if one.weight > 0)
    return chosen if any(one.cluster for one in chosen) else ()


def mirrors(scope: Scope, rule: HttpRule) -> tuple[Mirror, ...]:
    """Where copies of the requests go; what does not exist is left out (Gateway API)."""
    return tuple(_mirrors(scope, rule))


def outbound(scope: Scope, rule: HttpRule) -> Iterator[tuple[ServiceCluster, Destination]]:
    """The clusters of a rule that no service of this waypoint brings along."""
    refs = [backend.ref for backend in rule.backends]
    refs += [one.mirror.backend for one in rule.filters if one.mirror is not None]
    for ref in refs:
        target = find_target(scope.reader, scope.mesh, ref)
        if isinstance(target, Target) and not _is_own(scope, target):
            yield _outbound_cluster(scope, target)


def find_target(reader: Reader, mesh: Mesh, ref: BackendRef) -> Target | Issue:
    """The service port that a reference names, or why it can't be had."""
    if ref.group not in ("", "core") or ref.kind != "Service":
        return _invalid("kind", "InvalidKind", f"referencing unsupported backendRef: {ref.kind}")
    if ref.port is None:
        return _invalid("port", "InvalidDestination", "port is required in backendRef")
    host = host_of(mesh, ref.namespace, ref.name)
    service = reader.get(Service, ref.namespace, ref.name)
    if service is None:
        return _invalid("name", "BackendNotFound", f"backend({host}) not found")
    if service.external_name:
        return _invalid("name", "InvalidKind", f"backend({host}) is an ExternalName service")
    port = find_port(service, ref.port)
    if port is None:
        return _invalid("port", "BackendNotFound", f"backend({host}) has no TCP port {ref.port}")
    return Target(service, port)


def _backend_issues(reader: Reader, mesh: Mesh, backend: HttpBackend) -> Iterator[Issue]:
    found = find_target(reader, mesh, backend.ref)
    if isinstance(found, Issue):
        yield found
    yield from backend_filter_issues(backend.filters)


def _invalid(path: str, reason: str, message: str) -> Issue:
    return Issue(path, Subject.REFERENCE, reason, message)


def _weighted(scope: Scope, backend: HttpBackend) -> WeightedBackend:
    target = find_target(scope.reader, scope.mesh, backend.ref)
    broken = isinstance(target, Issue) or any(backend_filter_issues(backend.filters))
    if isinstance(target, Issue) or broken:
        return WeightedBackend(None, backend.weight)
    return WeightedBackend(
        cluster=_cluster_name(scope, target),
        weight=backend.weight,
        request_headers=edit_of(backend.filters, REQUEST),
        response_headers=edit_of(backend.filters, RESPONSE),
    )


def _mirrors(scope: Scope, rule: HttpRule) -> Iterator[Mirror]:
    for one in rule.filters:
        if one.type != MIRROR or one.mirror is None:
            continue
        target = find_target(scope.reader, scope.mesh, one.mirror.backend)
        if isinstance(target, Target):
            percent = 100 if one.mirror.percent is None else one.mirror.percent
            numerator, denominator = one.mirror.fraction or (percent, 100)
            yield Mirror(_cluster_name(scope, target), numerator, denominator)


def _is_own(scope: Scope, target: Target) -> bool:
    """Whether this waypoint serves the port as HTTP, so that its cluster is there anyway."""
    protocol = protocol_of(target.port)
    if protocol is None or not protocol.speaks_http:
        return False
    return waypoint_of(scope.reader, target.service) == Bound(scope.waypoint)


def _cluster_name(scope: Scope, target: Target) -> str:
    host = host_of(scope.mesh, target.service.meta.namespace, target.service.meta.name)
    if _is_own(scope, target):
        return http_name(target.port.port, host)
    return outbound_name(target.port.port, host)


def _outbound_cluster(scope: Scope, target: Target) -> tuple[ServiceCluster, Destination]:
    meta, port = target.service.meta, target.port.port
    host = host_of(scope.mesh, meta.namespace, meta.name)
    cluster = ServiceCluster(
        name=outbound_name(port, host),
        host=host,
        port=port,
        protocol=_upstream(target.port),
        origins=(Origin(Service.kind, meta.namespace, meta.name),),
    )
    return cluster, Destination(cluster.name, meta.namespace, meta.name, port)


def _upstream(port: ServicePort) -> UpstreamProtocol:
    return http_upstream(protocol_of(port) or PortProtocol.HTTP)
