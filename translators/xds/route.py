"""Route tables: all that is decided about the requests of one HTTP service port."""

from collections.abc import Iterator

from envoy_data_plane.envoy.config.route.v3 import (
    Decorator,
    RouteAction,
    RouteConfiguration,
    VirtualHost,
)
from envoy_data_plane.envoy.config.route.v3 import Route as EnvoyRoute
from envoy_data_plane.envoy.config.route.v3 import RouteMatch as EnvoyMatch

from translators.ir.route import NO_EDIT, DirectResponse, Forward, Route, RouteMatch, RouteTable
from translators.wire import kept, template
from translators.xds.action import clusters_of, route_action
from translators.xds.ambiguity import refuse_ambiguous
from translators.xds.filters.cors import armed_cors
from translators.xds.filters.ext_authz import armed_checks, armed_external_auth
from translators.xds.filters.header_mutation import armed_edit
from translators.xds.filters.jwt_authn import armed_tokens
from translators.xds.filters.menu import Armed, Filter, met, per_filter_config
from translators.xds.filters.rbac import armed_rbac
from translators.xds.filters.stateful_session import armed_session
from translators.xds.header import header_changes
from translators.xds.match import route_match, takes_all
from translators.xds.metadata import (
    istio_config,
    provenance,
    provenance_for_istio,
    route_provenance,
)
from translators.xds.names import SOURCE_HEADER

_NO_EDITS = (NO_EDIT, NO_EDIT, NO_EDIT)
_NO_ROUTE = Route(name="not-found", match=RouteMatch(), action=DirectResponse(404))

_MANY = 50  # routes: enough for an edit of one to be worth keeping the others for
_MAX_BODY_BYTES = 1 << 20


def route_table(node: RouteTable) -> RouteConfiguration:
    """One virtual host for all names that are served.

    The authorization stands on the virtual host and no route has one of its own. A route for
    everything ends the list, because Envoy holds no request to a policy that it has no route for.
    """
    everything = VirtualHost(
        name=f"inbound|http|{node.port}",
        domains=list(node.domains),
        routes=[*_guard(node), *_routes(node)],
        request_headers_to_remove=[SOURCE_HEADER],
        typed_per_filter_config=met(_armed_by_routes(node)) | per_filter_config(_policies(node)),
        metadata=provenance(node.origins),
    )
    return RouteConfiguration(
        name=node.name,
        virtual_hosts=[everything],
        validate_clusters=False,
        # Servers route by segments without their parameters: so do routes and policies.
        ignore_path_parameters_in_path_matching=True,
        max_direct_response_body_size_bytes=_MAX_BODY_BYTES,
    )


def _policies(table: RouteTable) -> Iterator[Armed]:
    yield from armed_checks(table.authorization)
    yield from armed_tokens(table.authentication)
    yield from armed_rbac(table.authorization)


def table_clusters(node: RouteTable) -> tuple[str, ...]:
    """The clusters that the table's routes lead to, and those that are asked, each once."""
    named = (cluster for route in node.routes for cluster in clusters_of(route.action))
    checks = (check.cluster for check in node.authorization.custom)
    auths = (route.external_auth for route in node.routes)
    asked = (auth.cluster for auth in auths if auth is not None)
    return tuple(dict.fromkeys((*named, *checks, *asked)))


def _guard(table: RouteTable) -> Iterator[EnvoyRoute]:
    """What must not reach a destination whose policies it could get around."""
    rules = table.authorization
    if rules.custom or rules.deny or rules.allow is not None:
        yield from refuse_ambiguous()


def _routes(table: RouteTable) -> Iterator[EnvoyRoute]:
    """The routes up to the one that takes all requests, or with one behind them that does."""
    at = f"{table.host}:{table.port}"
    make = _kept_route if len(table.routes) > _MANY else _route
    for route in table.routes:
        yield make(route, at)
        if takes_all(route.match):
            return
    yield _no_route(at)


@template
def _no_route(at: str) -> EnvoyRoute:
    return _route(_NO_ROUTE, at)


def _route(route: Route, at: str) -> EnvoyRoute:
    action, match = route_action(route.action), route_match(route.match)
    config = istio_config(route.origin)
    if config and "route" in action and _only_forwards(route):
        return _forwarding(at, route.name, match, action["route"], config, str(route.origin))
    return EnvoyRoute(
        name=route.name,
        match=match,
        **action,
        **header_changes(route.request_headers, route.response_headers),
        typed_per_filter_config=per_filter_config(_armed(route)),
        decorator=Decorator(operation=f"{at}/{route.name}"),
        metadata=route_provenance(route.origin),
    )


_kept_route = kept(_route)


def _only_forwards(route: Route) -> bool:
    edits = (route.early_headers, route.request_headers, route.response_headers)
    if edits != _NO_EDITS or route.cors is not None or route.external_auth is not None:
        return False
    return isinstance(route.action, Forward) and route.action.persistence is None


@template
def _forwarding(
    at: str, name: str, match: EnvoyMatch, action: RouteAction, config: str, origin: str
) -> EnvoyRoute:
    """A route that does nothing besides, as most do: all of it is laid out once."""
    return EnvoyRoute(
        name=name,
        match=match,
        route=action,
        decorator=Decorator(operation=f"{at}/{name}"),
        metadata=provenance_for_istio(config, origin),
    )


def _armed(route: Route) -> Iterator[Armed]:
    if route.early_headers != NO_EDIT:
        yield armed_edit(route.early_headers)
    if route.cors is not None:
        yield armed_cors(route.cors)
    if route.external_auth is not None:
        yield armed_external_auth(route.external_auth)
    if isinstance(route.action, Forward) and route.action.persistence is not None:
        yield armed_session(route.action.persistence)


def _armed_by_routes(table: RouteTable) -> frozenset[Filter]:
    return frozenset(filter_ for route in table.routes for filter_ in _armed_by(route))


def _armed_by(route: Route) -> Iterator[Filter]:
    """The filters of ``_armed``, and of the route's backends."""
    if route.early_headers != NO_EDIT:
        yield Filter.EARLY_HEADERS
    if route.cors is not None:
        yield Filter.CORS
    if route.external_auth is not None:
        yield Filter.EXTERNAL_AUTH
    if isinstance(route.action, Forward):
        yield from _armed_by_action(route.action)


def _armed_by_action(action: Forward) -> Iterator[Filter]:
    if action.persistence is not None:
        yield Filter.STATEFUL_SESSION
    if any(backend.early_headers != NO_EDIT for backend in action.backends):
        yield Filter.EARLY_HEADERS
