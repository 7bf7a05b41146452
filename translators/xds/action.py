"""What becomes of the requests that a route matches."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypedDict, assert_never

from envoy_data_plane.envoy.config.core.v3 import DataSource, RuntimeFractionalPercent
from envoy_data_plane.envoy.config.route.v3 import DirectResponseAction as EnvoyDirectResponse
from envoy_data_plane.envoy.config.route.v3 import (
    RedirectAction,
    RedirectActionRedirectResponseCode,
    RouteAction,
    RouteActionClusterNotFoundResponseCode,
    RouteActionRequestMirrorPolicy,
    WeightedCluster,
    WeightedClusterClusterWeight,
)
from envoy_data_plane.envoy.type.v3 import FractionalPercent, FractionalPercentDenominatorType

from translators.ir.route import (
    NO_EDIT,
    DirectResponse,
    Forward,
    Mirror,
    Redirect,
    WeightedBackend,
)
from translators.ir.route import RouteAction as Action
from translators.wire import kept
from translators.xds.filters.header_mutation import armed_edit
from translators.xds.filters.menu import per_filter_config
from translators.xds.header import header_changes
from translators.xds.names import UNKNOWN_SERVICE
from translators.xds.retry import retry_policy
from translators.xds.rewrite import substitution

_MILLION = 1_000_000
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NOT_FOUND = {
    500: RouteActionClusterNotFoundResponseCode.INTERNAL_SERVER_ERROR,
    503: RouteActionClusterNotFoundResponseCode.SERVICE_UNAVAILABLE,
}
_REDIRECTS = {
    301: RedirectActionRedirectResponseCode.MOVED_PERMANENTLY,
    302: RedirectActionRedirectResponseCode.FOUND,
    303: RedirectActionRedirectResponseCode.SEE_OTHER,
    307: RedirectActionRedirectResponseCode.TEMPORARY_REDIRECT,
    308: RedirectActionRedirectResponseCode.PERMANENT_REDIRECT,
}


class ActionField(TypedDict, total=False):
    """One member of the oneof that says what an Envoy route does."""

    route: RouteAction
    redirect: RedirectAction
    direct_response: EnvoyDirectResponse


def route_action(action: Action) -> ActionField:
    """The action of a route. Raises KeyError for a status that a redirect or failure can't have."""
    match action:
        case Forward():
            return _forward(action)
        case Redirect():
            return ActionField(redirect=_redirect(action))
        case DirectResponse(status, body):
            return _answer(status, body)
        case _:
            assert_never(action)


def clusters_of(action: Action) -> tuple[str, ...]:
    """The clusters that an action sends requests or copies of them to."""
    if not isinstance(action, Forward):
        return ()
    found = [one.cluster for one in action.backends if one.weight > 0 and one.cluster is not None]
    if action.mirrors:
        found += [mirror.cluster for mirror in action.mirrors]
    return tuple(found)


def _answer(status: int, body: str = "") -> ActionField:
    data = DataSource(inline_string=body) if body else None
    return ActionField(direct_response=EnvoyDirectResponse(status=status, body=data))


def _live(backends: Sequence[WeightedBackend]) -> list[WeightedBackend]:
    return [backend for backend in backends if backend.weight > 0]


@kept
def _forward(action: Forward) -> ActionField:
    """Most rules of an HTTPRoute have the very same action."""
    if all(backend.cluster is None for backend in _live(action.backends)):
        return _answer(action.invalid_status)
    return ActionField(route=_sent(action))


def _sent(action: Forward) -> RouteAction:
    edit = substitution(action.path_rewrite)
    return RouteAction(
        **_destination(_live(action.backends), action.invalid_status),
        timeout=timedelta(milliseconds=action.timeout_ms or 0),
        retry_policy=retry_policy(action),
        host_rewrite_literal=action.host_rewrite or None,
        regex_rewrite=edit.message() if edit else None,
        request_mirror_policies=[_mirror(mirror) for mirror in action.mirrors],
    )


class _Destination(TypedDict, total=False):
    cluster: str
    weighted_clusters: WeightedCluster
    cluster_not_found_response_code: RouteActionClusterNotFoundResponseCode


def _destination(backends: Sequence[WeightedBackend], invalid_status: int) -> _Destination:
    first = backends[0]
    edits = (first.request_headers, first.response_headers, first.early_headers)
    plain = all(edit == NO_EDIT for edit in edits)
    if len(backends) == 1 and plain and first.cluster is not None:
        return _Destination(cluster=first.cluster)
    weighted = WeightedCluster(clusters=[_weighted(backend) for backend in backends])
    if any(backend.cluster is None for backend in backends):
        return _Destination(
            weighted_clusters=weighted,
            cluster_not_found_response_code=_NOT_FOUND[invalid_status],
        )
    return _Destination(weighted_clusters=weighted)


def _weighted(backend: WeightedBackend) -> WeightedClusterClusterWeight:
    early = () if backend.early_headers == NO_EDIT else (armed_edit(backend.early_headers),)
    return WeightedClusterClusterWeight(
        name=UNKNOWN_SERVICE if backend.cluster is None else backend.cluster,
        weight=backend.weight,
        **header_changes(backend.request_headers, backend.response_headers),
        typed_per_filter_config=per_filter_config(early),
    )


def _mirror(mirror: Mirror) -> RouteActionRequestMirrorPolicy:
    share = FractionalPercent(
        numerator=_MILLION * mirror.numerator // mirror.denominator,
        denominator=FractionalPercentDenominatorType.MILLION,
    )
    return RouteActionRequestMirrorPolicy(
        cluster=mirror.cluster,
        runtime_fraction=RuntimeFractionalPercent(default_value=share),
        disable_shadow_host_suffix_append=True,
    )


def _redirect(redirect: Redirect) -> RedirectAction:
    edit = substitution(redirect.path)
    return RedirectAction(
        response_code=_REDIRECTS[redirect.status],
        scheme_redirect=redirect.scheme or None,
        host_redirect=redirect.host,
        port_redirect=_port(redirect),
        regex_rewrite=edit.message() if edit else None,
    )


def _port(redirect: Redirect) -> int:
    """The port to write; 0 if none is needed.

    A scheme's own port goes without saying, but only where the host is ours: the request's host
    may bring another port along.
    """
    implied = _DEFAULT_PORTS.get(redirect.scheme) == redirect.port and redirect.host
    return 0 if redirect.port is None or implied else redirect.port
