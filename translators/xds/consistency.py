"""What Envoy accepts without a word although it can't work.

Some of it can't be written here at all: a look-up can't name a chain that is missing, because both
come from one binding (``internal``), and no filter can be armed that is missing or with another
filter's settings, because only the filters' own modules arm them (``filters.menu``). The rest
spans several nodes, and ``check`` finds it.
"""

from collections.abc import Iterable, Iterator

from translators.ir import Node
from translators.ir.authentication import TokenRules
from translators.ir.cluster import InternalCluster
from translators.ir.endpoint import EndpointSet
from translators.ir.listener import ConnectTable, DirectListener, InternalListener
from translators.ir.route import RouteTable
from translators.ir.tls import TlsDispatcher, TlsInspector, TlsTable
from translators.wire import ResourceKey, TypeUrl
from translators.xds.connect import connect_clusters
from translators.xds.filters.jwt_authn import key_clusters
from translators.xds.names import (
    CONNECT_ORIGINATE,
    ENCAP,
    MAIN_INTERNAL_DIRECT,
    PASSTHROUGH,
    TLS_DISPATCH,
    TLS_ROUTES,
)
from translators.xds.rendering import TOKEN_RULES, key_of
from translators.xds.route import table_clusters
from translators.xds.server_name import tls_clusters


def check(nodes: Iterable[Node]) -> tuple[str, ...]:
    """What is wrong with one waypoint's nodes as a whole, in their order; empty if nothing is."""
    nodes = tuple(nodes)
    held = {key_of(node) for node in nodes}
    return (*_duplicates(nodes), *_missing(nodes, held))


def _duplicates(nodes: Iterable[Node]) -> Iterator[str]:
    seen: set[ResourceKey] = set()
    for node in nodes:
        key = key_of(node)
        if key in seen:
            yield f"two nodes render to {_described(key)}"
        seen.add(key)


def _missing(nodes: Iterable[Node], held: set[ResourceKey]) -> Iterator[str]:
    for node in nodes:
        source = key_of(node)
        for needed in _needs(node):
            if needed not in held:
                yield f"{_described(source)} leads to {_described(needed)}, which is not there"


def _needs(node: Node) -> tuple[ResourceKey, ...]:  # noqa: C901 (a closed union)
    """The resources that a node is of no use without, each once."""
    match node:
        case InternalListener():
            return _distinct(_chains_need(node))
        case DirectListener():
            table = ResourceKey(TypeUrl.ROUTE, node.http.name)
            return (table, *map(_cluster, (ENCAP, PASSTHROUGH)))
        case ConnectTable():
            direct = (MAIN_INTERNAL_DIRECT,) if node.pods else ()
            clusters = (*(host.cluster for host in node.hosts), *direct, *connect_clusters(node))
            return _distinct(map(_cluster, clusters))
        case TlsTable():
            return _distinct(map(_cluster, tls_clusters(node)))
        case TlsInspector():
            return (_cluster(TLS_DISPATCH),)
        case TlsDispatcher():
            return (ResourceKey(TypeUrl.ROUTE, TLS_ROUTES),)
        case RouteTable() if node.authentication.providers:
            return (*_distinct(map(_cluster, table_clusters(node))), TOKEN_RULES)
        case RouteTable():
            return _distinct(map(_cluster, table_clusters(node)))
        case TokenRules():
            return _distinct(map(_cluster, key_clusters(node)))
        case InternalCluster():
            return (ResourceKey(TypeUrl.LISTENER, node.listener),)
        case EndpointSet() if any(endpoint.tunnel for endpoint in node.endpoints):
            return (
                _cluster(node.cluster),
                ResourceKey(TypeUrl.LISTENER, CONNECT_ORIGINATE),
                _cluster(CONNECT_ORIGINATE),
            )
        case EndpointSet():
            return (_cluster(node.cluster),)
        case _:
            return ()


def _chains_need(listener: InternalListener) -> Iterator[ResourceKey]:
    for binding in listener.bindings:
        if binding.http is not None:
            yield ResourceKey(TypeUrl.ROUTE, binding.http.name)
        if binding.tcp is not None:
            yield _cluster(binding.tcp.cluster)


def _distinct(keys: Iterable[ResourceKey]) -> tuple[ResourceKey, ...]:
    return tuple(dict.fromkeys(keys))


def _cluster(name: str) -> ResourceKey:
    return ResourceKey(TypeUrl.CLUSTER, name)


def _described(key: ResourceKey) -> str:
    return f"{key.type_url.name.lower()} {key.name}"
