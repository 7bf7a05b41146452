"""The route table ``connect``: which destinations there are, and who may open a tunnel to them."""

from collections.abc import Iterable, Iterator
from ipaddress import ip_network

from envoy_data_plane.envoy.config.route.v3 import (
    Route,
    RouteConfiguration,
    VirtualHost,
    WeightedClusterClusterWeight,
)
from envoy_data_plane.envoy.type.matcher.v3 import StringMatcher
from envoy_data_plane.google.protobuf import Any

from translators.ir.listener import ConnectHost, ConnectionRule, ConnectPods, ConnectTable
from translators.wire import template
from translators.xds.address import split_address
from translators.xds.address_range import authority_pattern, is_range
from translators.xds.connect_policy import on_connect
from translators.xds.direct import pod_hosts
from translators.xds.filters.menu import Armed, per_filter_config
from translators.xds.filters.set_filter_state import armed_destination
from translators.xds.metadata import provenance
from translators.xds.names import CONNECT_ROUTES
from translators.xds.text import regex
from translators.xds.tunnel import (
    rule_clusters,
    shares_of,
    tunnel_by,
    tunnel_by_authority,
    tunnel_to,
)
from translators.xds.tunnel_guard import armed_on_connect

# The admin interface listens there: no range, however large, leads anybody to it.
_INSIDE = ["127.0.0.1:*", "0.0.0.0:*"]


def connect_table(node: ConnectTable) -> RouteConfiguration:
    """A virtual host for each destination, found by a look-up of the CONNECT's authority.

    There is none for other authorities: those are answered 404. Where services have ranges of
    addresses, one virtual host looks through them for what no other has.
    """
    found = list(_distinct(node.hosts))
    return RouteConfiguration(
        name=CONNECT_ROUTES,
        virtual_hosts=[
            *(_virtual_host(host, single) for host, each in found if (single := _single(each))),
            *pod_hosts(node.pods),
            *_ranges(found),
        ],
        validate_clusters=False,
        metadata=provenance(node.origins),
    )


def connect_clusters(node: ConnectTable) -> tuple[str, ...]:
    """The clusters that the table steers connections to or asks for consent, each once."""
    steered = rule_clusters(rule for host in node.hosts for rule in host.rules)
    guarded: Iterable[ConnectHost | ConnectPods] = (*node.hosts, *node.pods)
    asked = (check.cluster for host in guarded for check in host.authorization.custom)
    return tuple(dict.fromkeys((*steered, *asked)))


def _distinct(hosts: Iterable[ConnectHost]) -> Iterator[tuple[ConnectHost, list[str]]]:
    """Each host with the authorities that no host before it has, if there are any.

    Envoy refuses a table in which two hosts share one.
    """
    taken: set[str] = set()
    for host in hosts:
        fresh = [each for each in dict.fromkeys(host.authorities) if each not in taken]
        taken.update(fresh)
        if fresh:
            yield host, fresh


def _single(authorities: list[str]) -> list[str]:
    return [each for each in authorities if not is_range(each)]


def _armed(host: ConnectHost, authorities: list[str]) -> tuple[Armed, ...]:
    return armed_on_connect(host, lambda rules: on_connect(rules, tuple(authorities)))


def _virtual_host(host: ConnectHost, authorities: list[str]) -> VirtualHost:
    armed = _armed(host, authorities)
    routes = list(_routes(host))
    if not armed and len(authorities) == len(routes) == 1:
        return _open_host(host.name, authorities[0], routes[0])
    return VirtualHost(
        name=host.name,
        domains=authorities,
        routes=routes,
        typed_per_filter_config=per_filter_config(armed),
    )


@template
def _open_host(name: str, authority: str, route: Route) -> VirtualHost:
    return VirtualHost(name=name, domains=[authority], routes=[route])


def _routes(
    host: ConnectHost, asked: StringMatcher | None = None, armed: dict[str, Any] | None = None
) -> Iterator[Route]:
    """The host's rules up to the one that is for everybody; without any, the chain decides.

    If an authority is given only for those that ask for it, and with the policies on each.
    """
    for rule in host.rules:
        yield tunnel_by(rule, _steered(host, rule), asked, armed)
        if not rule.peer_namespaces:
            return
    if asked is None:
        yield tunnel_to(host.name, host.cluster)
    else:
        yield tunnel_by_authority(host.name, host.cluster, asked, armed)


def _ranges(found: list[tuple[ConnectHost, list[str]]]) -> Iterator[VirtualHost]:
    """The ranges of all hosts, the smallest first, if there are any."""
    pairs = [(each, host) for host, authorities in found for each in authorities if is_range(each)]
    pairs.sort(key=lambda pair: -ip_network(split_address(pair[0])[0]).prefixlen)
    if pairs:
        routes = [route for authority, host in pairs for route in _range_routes(host, authority)]
        yield VirtualHost(name="inside", domains=_INSIDE)
        yield VirtualHost(name="ranges", domains=["*"], routes=routes)


def _range_routes(host: ConnectHost, authority: str) -> Iterator[Route]:
    """What a host does with tunnels to the addresses of a range."""
    asked = regex(authority_pattern(*split_address(authority)))
    return _routes(host, asked, per_filter_config(_armed(host, [authority])))


def _steered(host: ConnectHost, rule: ConnectionRule) -> list[WeightedClusterClusterWeight]:
    """All go to the same listener, each with the cluster that it is to be forwarded to."""
    return [
        WeightedClusterClusterWeight(
            name=host.cluster, weight=weight, typed_per_filter_config=armed_destination(cluster)
        )
        for cluster, weight in shares_of(rule)
    ]
