"""The backends of a route: whether they exist, and which clusters they are."""

from collections.abc import Iterator, Sequence

from translators.gateway_api.clusters import outbound_cluster, own_http_cluster
from translators.gateway_api.endpoints import Destination
from translators.gateway_api.external_auth import (
    Authorizer,
    authorizer_issues,
    authorizer_of,
)
from translators.gateway_api.filters import MIRROR, backend_filter_issues
from translators.gateway_api.headers import REQUEST, RESPONSE, edit_of
from translators.gateway_api.issues import Issue, unusable
from translators.gateway_api.references import Referrer, Target, resolve_ref
from translators.gateway_api.scope import Found, Scope
from translators.ir.cluster import ServiceCluster
from translators.ir.route import NO_EDIT, HeaderEdit, Mirror, WeightedBackend
from translators.ir.waypoint import Mesh
from translators.resources.httproute import BackendRef, HttpBackend, HttpFilter, HttpRule
from translators.resources.tcproute import TcpBackend
from translators.world import Reader

_MAX_WEIGHT = 1_000_000  # Gateway API
_MAX_TOTAL = 2**32 - 1  # Envoy


def rule_backend_issues(
    reader: Reader, mesh: Mesh, referrer: Referrer, rule: HttpRule
) -> Iterator[Issue]:
    """All that is wrong with what a rule refers to; field paths are below it."""
    for index, backend in enumerate(rule.backends):
        for issue in _backend_issues(reader, mesh, referrer, backend):
            yield issue.below(f"backendRefs[{index}]")
    for index, one in enumerate(rule.filters):
        if one.type == MIRROR and one.mirror is not None:
            found = resolve_ref(reader, mesh, referrer, one.mirror.backend)
            if isinstance(found, Issue):
                yield found.below(f"filters[{index}].requestMirror.backendRef")
    yield from authorizer_issues(reader, mesh, referrer, rule)


def weight_issues(backends: Sequence[HttpBackend | TcpBackend]) -> Iterator[Issue]:
    """Weights that can't be used; field paths are below the rule."""
    for index, backend in enumerate(backends):
        if not 0 <= backend.weight <= _MAX_WEIGHT:
            message = f"weight {backend.weight} is out of range"
            yield unusable(f"backendRefs[{index}].weight", message)
    if sum(backend.weight for backend in backends) > _MAX_TOTAL:
        yield unusable("backendRefs", "the weights are too much together")


def weighted_backends(
    scope: Scope, referrer: Referrer, rule: HttpRule
) -> tuple[WeightedBackend, ...]:
    """The backends of a rule that get requests; an invalid one keeps its share, to fail.

    Empty if nothing valid would get any.
    """
    chosen = tuple(_weighted(scope, referrer, one) for one in rule.backends if one.weight > 0)
    return chosen if any(one.cluster for one in chosen) else ()


def mirrors(scope: Scope, referrer: Referrer, rule: HttpRule) -> tuple[Mirror, ...]:
    """Where copies of the requests go; what does not exist is left out (Gateway API)."""
    return tuple(_mirrors(scope, referrer, rule))


def outbound(
    scope: Scope, referrer: Referrer, rule: HttpRule
) -> Iterator[tuple[ServiceCluster, Destination | None]]:
    """The clusters of a rule that no service of this waypoint brings along."""
    refs = [backend.ref for backend in rule.backends]
    refs += [one.mirror.backend for one in rule.filters if one.mirror is not None]
    for ref in refs:
        found = _found(scope, referrer, ref)
        if found is not None and found.outbound is not None:
            yield found.outbound
    authorizer = authorizer_of(scope, referrer, rule)
    if isinstance(authorizer, Authorizer):
        yield authorizer.upstream


def request_edits(
    referrer: Referrer, filters: tuple[HttpFilter, ...]
) -> tuple[HeaderEdit, HeaderEdit]:
    """The changes of request headers that come before policies, and those that come after.

    Those of a consumer route come before, as if its clients had made them: what a waypoint has
    verified and tells by headers is not for other namespaces to change.
    """
    edit = edit_of(filters, REQUEST)
    return (NO_EDIT, edit) if referrer.consumes is None else (edit, NO_EDIT)


def _backend_issues(
    reader: Reader, mesh: Mesh, referrer: Referrer, backend: HttpBackend
) -> Iterator[Issue]:
    found = resolve_ref(reader, mesh, referrer, backend.ref)
    if isinstance(found, Issue):
        yield found
    yield from backend_filter_issues(backend.filters)


def _found(scope: Scope, referrer: Referrer, ref: BackendRef) -> Found | None:
    """Where requests to a backend go; None if it can't be had. Looked up once a translation."""
    key = (referrer, ref)
    if key not in scope.backends:
        target = resolve_ref(scope.reader, scope.mesh, referrer, ref)
        scope.backends[key] = None if isinstance(target, Issue) else _find(scope, target)
    return scope.backends[key]


def _find(scope: Scope, target: Target) -> Found:
    own = own_http_cluster(scope, target)
    if own is not None:
        return Found(own)
    outbound = outbound_cluster(scope, target)
    return Found(outbound[0].name, outbound)


def _weighted(scope: Scope, referrer: Referrer, backend: HttpBackend) -> WeightedBackend:
    found = _found(scope, referrer, backend.ref)
    if found is None or any(backend_filter_issues(backend.filters)):
        return WeightedBackend(None, backend.weight)
    early, late = request_edits(referrer, backend.filters)
    return WeightedBackend(
        cluster=found.cluster,
        weight=backend.weight,
        early_headers=early,
        request_headers=late,
        response_headers=edit_of(backend.filters, RESPONSE),
    )


def _mirrors(scope: Scope, referrer: Referrer, rule: HttpRule) -> Iterator[Mirror]:
    for one in rule.filters:
        if one.type != MIRROR or one.mirror is None:
            continue
        found = _found(scope, referrer, one.mirror.backend)
        if found is not None:
            percent = 100 if one.mirror.percent is None else one.mirror.percent
            numerator, denominator = one.mirror.fraction or (percent, 100)
            yield Mirror(found.cluster, numerator, denominator)
