"""Routes for CONNECT requests."""

from collections.abc import Iterable
from datetime import timedelta

from envoy_data_plane.envoy.config.route.v3 import (
    HeaderMatcher,
    Route,
    RouteAction,
    RouteActionUpgradeConfig,
    RouteActionUpgradeConfigConnectConfig,
    RouteMatch,
    RouteMatchConnectMatcher,
    WeightedCluster,
    WeightedClusterClusterWeight,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.google.protobuf import Any

from translators.ir.listener import ConnectionRule, Share
from translators.wire import shared, template
from translators.xds.metadata import route_provenance
from translators.xds.names import UNKNOWN_SERVICE
from translators.xds.peer import peer_in_namespaces

_REFUSED = (Share(None),)


@template
def tunnel_to(name: str, cluster: str) -> Route:
    """Every CONNECT goes to one cluster."""
    return Route(
        name=name,
        match=RouteMatch(connect_matcher=RouteMatchConnectMatcher()),
        route=RouteAction(cluster=cluster, timeout=timedelta(0), upgrade_configs=[_tunnel()]),
    )


@shared
def _tunnel() -> RouteActionUpgradeConfig:
    return RouteActionUpgradeConfig(
        upgrade_type="CONNECT", connect_config=RouteActionUpgradeConfigConnectConfig()
    )


def tunnel_by_authority(
    name: str, cluster: str, authority: StringMatcher, armed: dict[str, Any] | None = None
) -> Route:
    """Every CONNECT with such an authority goes to one cluster, if the armed filters let it."""
    return Route(
        name=name,
        match=RouteMatch(
            connect_matcher=RouteMatchConnectMatcher(), headers=[_asks_for(authority)]
        ),
        route=RouteAction(cluster=cluster, timeout=timedelta(0), upgrade_configs=[_tunnel()]),
        typed_per_filter_config=armed or {},
    )


def _asks_for(authority: StringMatcher) -> HeaderMatcher:
    return HeaderMatcher(name=":authority", string_match=authority)


def tunnel_by(
    rule: ConnectionRule,
    choices: list[WeightedClusterClusterWeight],
    authority: StringMatcher | None = None,
    armed: dict[str, Any] | None = None,
) -> Route:
    """Each CONNECT that a rule is for goes to one of the choices, drawn by weight.

    If an authority is given only those that have it.
    """
    namespaces = rule.peer_namespaces
    return Route(
        name=rule.name,
        match=RouteMatch(
            connect_matcher=RouteMatchConnectMatcher(),
            filter_state=[peer_in_namespaces(namespaces)] if namespaces else [],
            headers=[_asks_for(authority)] if authority else [],
        ),
        route=RouteAction(
            weighted_clusters=WeightedCluster(clusters=choices),
            timeout=timedelta(0),
            upgrade_configs=[_tunnel()],
        ),
        typed_per_filter_config=armed or {},
        metadata=route_provenance(rule.origin),
    )


def shares_of(rule: ConnectionRule) -> tuple[tuple[str, int], ...]:
    """The clusters that connections are shared among, and the weight of each.

    What is refused goes to a cluster that never exists.
    """
    live = tuple(share for share in rule.shares if share.weight > 0) or _REFUSED
    return tuple(
        (UNKNOWN_SERVICE if share.cluster is None else share.cluster, share.weight)
        for share in live
    )


def rule_clusters(rules: Iterable[ConnectionRule]) -> tuple[str, ...]:
    """The clusters that rules lead to, each once."""
    named = (share.cluster for rule in rules for share in rule.shares if share.weight > 0)
    return tuple(dict.fromkeys(cluster for cluster in named if cluster is not None))
