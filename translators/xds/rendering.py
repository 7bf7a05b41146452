"""From the model to xDS: one resource for each node."""

from collections.abc import Iterable
from typing import assert_never

from betterproto2 import Message

from translators.ir import Node, Origin
from translators.ir.authentication import TokenRules
from translators.ir.cluster import (
    ExternalCluster,
    InternalCluster,
    OriginateCluster,
    PassthroughCluster,
    ServiceCluster,
)
from translators.ir.endpoint import EndpointSet
from translators.ir.listener import (
    ConnectOriginate,
    ConnectTable,
    ConnectTerminate,
    DirectListener,
    InternalListener,
)
from translators.ir.route import RouteTable
from translators.ir.secret import Certificate, TrustBundle
from translators.ir.tls import TlsDispatcher, TlsInspector, TlsTable
from translators.wire import Resource, ResourceKey, TypeUrl, encoding, finish, unvalidated
from translators.xds.cluster import (
    external_cluster,
    internal_cluster,
    originate_cluster,
    passthrough_cluster,
    service_cluster,
)
from translators.xds.connect import connect_clusters, connect_table
from translators.xds.direct import direct_listener
from translators.xds.endpoint import load_assignment
from translators.xds.filters.jwt_authn import key_clusters, token_rules
from translators.xds.filters.menu import Filter
from translators.xds.internal import internal_listener
from translators.xds.listener import connect_originate, connect_terminate
from translators.xds.names import (
    CONNECT_ORIGINATE,
    CONNECT_ROUTES,
    CONNECT_TERMINATE,
    ENCAP,
    MAIN_INTERNAL,
    MAIN_INTERNAL_DIRECT,
    MAIN_INTERNAL_SNIFF,
    MAIN_INTERNAL_TLS,
    PASSTHROUGH,
    TLS_DISPATCH,
    TLS_ROUTES,
)
from translators.xds.route import route_table, table_clusters
from translators.xds.secret import certificate, trust_bundle
from translators.xds.server_name import tls_clusters, tls_dispatcher, tls_inspector, tls_table

_DIRECT_CLUSTERS = tuple(ResourceKey(TypeUrl.CLUSTER, name) for name in (ENCAP, PASSTHROUGH))
_DIRECT = (
    ResourceKey(TypeUrl.LISTENER, MAIN_INTERNAL_DIRECT),
    ResourceKey(TypeUrl.CLUSTER, MAIN_INTERNAL_DIRECT),
    *_DIRECT_CLUSTERS,
)

TOKEN_RULES = ResourceKey(TypeUrl.EXTENSION, Filter.TOKENS.value)
"""The extension that knows the issuers of tokens: a waypoint that routes requests has one."""


def render(node: Node) -> Message:
    """The Envoy message for a node, made from nothing but the node.

    Raises ValueError for nodes that break their contract (see the modules of their kind), never
    for what a user wrote.
    """
    with unvalidated():
        return _message(node)


def resource(node: Node) -> Resource:
    """The node as a finished resource: encoded, with a version, and with what it requires.

    Raises ValueError as ``render`` does.
    """
    key = key_of(node)
    with encoding():
        message = _message(node)
    return finish(key.type_url, key.name, message, _requires(node), _origins(node))


def key_of(node: Node) -> ResourceKey:  # noqa: C901 (a closed union)
    """The type and name of the resource that a node renders to."""
    match node:  # those that there are most of come first
        case EndpointSet():
            return ResourceKey(TypeUrl.ENDPOINT, node.cluster)
        case RouteTable():
            return ResourceKey(TypeUrl.ROUTE, node.name)
        case InternalCluster() | ServiceCluster() | ExternalCluster():
            return ResourceKey(TypeUrl.CLUSTER, node.name)
        case ConnectTerminate():
            return ResourceKey(TypeUrl.LISTENER, CONNECT_TERMINATE)
        case ConnectOriginate():
            return ResourceKey(TypeUrl.LISTENER, CONNECT_ORIGINATE)
        case InternalListener():
            return ResourceKey(TypeUrl.LISTENER, node.name)
        case DirectListener():
            return ResourceKey(TypeUrl.LISTENER, MAIN_INTERNAL_DIRECT)
        case TlsInspector():
            return ResourceKey(TypeUrl.LISTENER, MAIN_INTERNAL_TLS)
        case TlsDispatcher():
            return ResourceKey(TypeUrl.LISTENER, TLS_DISPATCH)
        case ConnectTable():
            return ResourceKey(TypeUrl.ROUTE, CONNECT_ROUTES)
        case TlsTable():
            return ResourceKey(TypeUrl.ROUTE, TLS_ROUTES)
        case OriginateCluster():
            return ResourceKey(TypeUrl.CLUSTER, CONNECT_ORIGINATE)
        case PassthroughCluster():
            return ResourceKey(TypeUrl.CLUSTER, PASSTHROUGH)
        case TokenRules():
            return TOKEN_RULES
        case Certificate() | TrustBundle():
            return ResourceKey(TypeUrl.SECRET, node.name)
        case _:
            assert_never(node)


def _message(node: Node) -> Message:  # noqa: C901 (a closed union)
    match node:
        case EndpointSet():
            return load_assignment(node)
        case RouteTable():
            return route_table(node)
        case ServiceCluster():
            return service_cluster(node)
        case ConnectTerminate():
            return connect_terminate(node)
        case ConnectOriginate():
            return connect_originate(node)
        case InternalListener():
            return internal_listener(node)
        case DirectListener():
            return direct_listener(node)
        case TlsInspector():
            return tls_inspector(node)
        case TlsDispatcher():
            return tls_dispatcher(node)
        case ConnectTable():
            return connect_table(node)
        case TlsTable():
            return tls_table(node)
        case InternalCluster():
            return internal_cluster(node)
        case OriginateCluster():
            return originate_cluster(node)
        case PassthroughCluster():
            return passthrough_cluster(node)
        case ExternalCluster():
            return external_cluster(node)
        case TokenRules():
            return token_rules(node)
        case Certificate():
            return certificate(node)
        case TrustBundle():
            return trust_bundle(node)
        case _:
            assert_never(node)


def _requires(node: Node) -> tuple[ResourceKey, ...]:
    """What a client should hold first, so that nothing leads to what is not there yet.

    Secrets are in nobody's list: a client only asks for them when something names them.
    """
    match node:
        case ConnectTable():
            return (
                ResourceKey(TypeUrl.LISTENER, MAIN_INTERNAL),
                ResourceKey(TypeUrl.LISTENER, MAIN_INTERNAL_SNIFF),
                ResourceKey(TypeUrl.LISTENER, MAIN_INTERNAL_TLS),
                *(ResourceKey(TypeUrl.CLUSTER, host.cluster) for host in node.hosts),
                *_with_endpoints(connect_clusters(node)),
                *(ResourceKey(TypeUrl.ROUTE, name) for name in node.requires_tables),
                *(_DIRECT if node.pods else ()),
            )
        case DirectListener():
            return _DIRECT_CLUSTERS
        case TlsInspector():
            return (ResourceKey(TypeUrl.CLUSTER, TLS_DISPATCH),)
        case TlsTable():
            return _with_endpoints(tls_clusters(node))
        case RouteTable():
            return (*_with_endpoints(table_clusters(node)), *_rules_of_tokens(node))
        case TokenRules():
            return _with_endpoints(key_clusters(node))
        case InternalListener():
            chains = (binding.tcp for binding in node.bindings)
            return _with_endpoints(chain.cluster for chain in chains if chain is not None)
        case _:
            return ()


def _rules_of_tokens(table: RouteTable) -> tuple[ResourceKey, ...]:
    return (TOKEN_RULES,) if table.authentication.providers else ()


def _with_endpoints(clusters: Iterable[str]) -> tuple[ResourceKey, ...]:
    """The clusters and their endpoints; a cluster that finds its own has no such resource."""
    return tuple(
        ResourceKey(type_url, cluster)
        for cluster in clusters
        for type_url in (TypeUrl.CLUSTER, TypeUrl.ENDPOINT)
    )


def _origins(node: Node) -> tuple[Origin, ...]:
    match node:
        case RouteTable() | ConnectTable() | TlsTable() | EndpointSet():
            return node.origins
        case ServiceCluster() | ExternalCluster():
            return node.origins
        case TokenRules():
            providers = (one for demand in node.demands for one in demand.providers)
            return tuple(dict.fromkeys(one.origin for one in providers if one.origin))
        case _:
            return ()
