"""A waypoint put together from what its services add to it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from translators.gateway_api.direct import CONNECT_ORIGINATE, ENCAP, MAIN_INTERNAL_DIRECT
from translators.gateway_api.endpoints import Destination
from translators.gateway_api.services import (
    MAIN_INTERNAL,
    MAIN_INTERNAL_SNIFF,
    MAIN_INTERNAL_TLS,
    TLS_DISPATCH,
    TLS_ROUTES,
    ServiceConfig,
)
from translators.ir import Node
from translators.ir.authentication import TokenRules
from translators.ir.authorization import OPEN
from translators.ir.cluster import (
    InternalCluster,
    OriginateCluster,
    PassthroughCluster,
    ServiceCluster,
    UpstreamProtocol,
)
from translators.ir.condition import Condition
from translators.ir.listener import (
    ConnectHost,
    ConnectOriginate,
    ConnectTable,
    InternalListener,
    PortBinding,
)
from translators.ir.origin import Origin
from translators.ir.tls import TlsDispatcher, TlsHost, TlsInspector, TlsTable
from translators.ir.waypoint import Mesh
from translators.resources.core import Service
from translators.resources.metadata import ObjectKey
from translators.resources.serviceentry import ServiceEntry

_ADDRESSES = {Service.kind: "spec.clusterIPs", ServiceEntry.kind: "spec.addresses"}

Claim = tuple[str, int]
"""A virtual IP and a port."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """All resources of a waypoint but its endpoints and secrets and the listener of its tunnels.

    ``services`` are those that it was put together from, ``destinations`` the clusters whose
    endpoints must be sent as well, ``reduced`` the services that lost an address to another.
    """

    services: tuple[ObjectKey, ...]
    nodes: tuple[Node, ...]
    destinations: tuple[Destination, ...]
    conditions: tuple[Condition, ...]
    reduced: frozenset[ObjectKey]


def assemble(mesh: Mesh, configs: Iterable[ServiceConfig]) -> Assembly:
    """Put a waypoint together. The result does not depend on the order of the configs.

    Where two have the same address and port, a Service keeps it before a ServiceEntry, whose
    addresses nobody has given out; of one kind the older one, on equal age the one whose namespace
    and name come first.
    """
    given = sorted(configs, key=_seniority)
    owners = _owners(given)
    kept = [_without_lost(config, owners) for config in given]
    clusters = {cluster.name: cluster for config in kept for cluster in config.clusters}
    return Assembly(
        services=tuple(config.service for config in given),
        nodes=(
            *_infrastructure(mesh),
            *_internal_listeners(kept),
            _connect_table(kept),
            *_tls_routing(mesh, kept),
            *_direct(kept),
            *_token_rules(kept),
            *(table for config in kept for table in config.tables),
            *(clusters[name] for name in sorted(clusters)),
        ),
        destinations=tuple(sorted({one for config in kept for one in config.destinations})),
        conditions=_conditions(given, owners),
        reduced=frozenset(
            config.service for config, rest in zip(given, kept, strict=True) if rest is not config
        ),
    )


def shared_conditions(configs: Iterable[ServiceConfig]) -> tuple[Condition, ...]:
    """The conditions of the assembly of these configs, without the rest of it."""
    given = sorted(configs, key=_seniority)
    return _conditions(given, _owners(given))


def _seniority(config: ServiceConfig) -> tuple[bool, str, ObjectKey]:
    return config.service.kind == ServiceEntry.kind, config.created, config.service


def fits_in_place(assembly: Assembly, before: ServiceConfig, after: ServiceConfig) -> bool:
    """Whether a config may take the place of one in the assembly, and only its own nodes differ.

    That is so if they differ in routes, authorization and clusters alone.
    """
    return before.service not in assembly.reduced and _outline(before) == _outline(after)


def _outline(config: ServiceConfig) -> ServiceConfig:
    """The config without what an assembly passes on as it is."""
    return replace(
        config,
        tables=tuple(
            replace(table, routes=(), authorization=OPEN, origins=()) for table in config.tables
        ),
        clusters=tuple(
            ServiceCluster(cluster.name, "", 0, UpstreamProtocol.TCP) for cluster in config.clusters
        ),
    )


def _infrastructure(mesh: Mesh) -> Iterator[Node]:
    """What every waypoint has, with or without services."""
    yield ConnectOriginate()
    yield OriginateCluster(mesh.trust_domains)
    for name in (MAIN_INTERNAL, MAIN_INTERNAL_SNIFF):
        yield InternalCluster(name, name)


def _internal_listeners(configs: list[ServiceConfig]) -> Iterator[InternalListener]:
    """The listeners that have something to serve: Envoy refuses one without filter chains."""
    bindings = [binding for config in configs for binding in config.bindings]
    declared = tuple(one for one in bindings if not _is_sniffed(one))
    sniffed = tuple(one for one in bindings if _is_sniffed(one))
    if declared:
        yield InternalListener(MAIN_INTERNAL, declared, sniff=False)
    if sniffed:
        yield InternalListener(MAIN_INTERNAL_SNIFF, sniffed, sniff=True)


def _tls_routing(mesh: Mesh, configs: list[ServiceConfig]) -> Iterator[Node]:
    """What routes by server name. It waits there for routes wherever a port declares TLS."""
    if not any(config.declares_tls for config in configs):
        return
    yield TlsInspector(mesh.max_connection_ms)
    yield TlsDispatcher()
    yield InternalCluster(MAIN_INTERNAL_TLS, MAIN_INTERNAL_TLS)
    yield InternalCluster(TLS_DISPATCH, TLS_DISPATCH, connects=True)
    yield TlsTable(
        hosts=tuple(host for config in configs for host in config.tls_hosts),
        origins=tuple(_origin(config) for config in configs if config.tls_hosts),
    )


def _direct(configs: list[ServiceConfig]) -> Iterator[Node]:
    """What leads to pods by their own addresses, where the waypoint serves those."""
    for config in configs:
        if config.direct is not None:
            yield config.direct
            yield InternalCluster(MAIN_INTERNAL_DIRECT, MAIN_INTERNAL_DIRECT)
            yield InternalCluster(ENCAP, CONNECT_ORIGINATE, requests=True)
            yield PassthroughCluster()


def _is_sniffed(binding: PortBinding) -> bool:
    return binding.http is not None and binding.tcp is not None


def _connect_table(configs: list[ServiceConfig]) -> ConnectTable:
    origins = (_origin(config) for config in configs if config.connect_hosts)
    return ConnectTable(
        hosts=tuple(host for config in configs for host in config.connect_hosts),
        requires_tables=(
            *(table.name for config in configs for table in config.tables),
            *((TLS_ROUTES,) if any(config.tls_hosts for config in configs) else ()),
        ),
        origins=tuple(origins),
        pods=tuple(group for config in configs for group in config.pods),
    )


def _token_rules(configs: list[ServiceConfig]) -> Iterator[TokenRules]:
    """What tables demand of tokens; where there is no table nobody asks for it."""
    tables = [table for config in configs for table in config.tables]
    demands = (table.authentication for table in tables)
    by_name = {demand.name: demand for demand in demands if demand.providers}
    if tables:
        yield TokenRules(tuple(by_name[name] for name in sorted(by_name)))


def _conditions(
    given: list[ServiceConfig], owners: dict[Claim, ServiceConfig]
) -> tuple[Condition, ...]:
    return tuple(
        condition
        for config in given
        for condition in (*config.conditions, *_conflicts(config, owners))
    )


def _owners(configs: list[ServiceConfig]) -> dict[Claim, ServiceConfig]:
    """Who gets which address and port: the first that claims it."""
    owners: dict[Claim, ServiceConfig] = {}
    for config in configs:
        for claim in _claims(config):
            owners.setdefault(claim, config)
    return owners


def _claims(config: ServiceConfig) -> Iterator[Claim]:
    for binding in config.bindings:
        for address in binding.addresses:
            yield address, binding.port


def _without_lost(config: ServiceConfig, owners: dict[Claim, ServiceConfig]) -> ServiceConfig:
    """The config without the addresses that it lost to another, if it lost any."""
    if all(owners[claim].service == config.service for claim in _claims(config)):
        return config
    pairs = [
        (replace(binding, addresses=addresses), _host_without_lost(binding, addresses, host))
        for binding, host in zip(config.bindings, config.connect_hosts, strict=True)
        if (addresses := _kept_addresses(config, binding, owners))
    ]
    names = {binding.http.name for binding, _ in pairs if binding.http}
    return replace(
        config,
        bindings=tuple(binding for binding, _ in pairs),
        connect_hosts=tuple(host for _, host in pairs),
        tls_hosts=tuple(_tls_hosts_at(config, {host for _, host in pairs})),
        tables=tuple(table for table in config.tables if table.name in names),
    )


def _tls_hosts_at(config: ServiceConfig, kept: set[ConnectHost]) -> Iterator[TlsHost]:
    authorities = {authority for host in kept for authority in host.authorities}
    for host in config.tls_hosts:
        left = tuple(each for each in host.authorities if each in authorities)
        if left:
            yield replace(host, authorities=left)


def _kept_addresses(
    config: ServiceConfig, binding: PortBinding, owners: dict[Claim, ServiceConfig]
) -> tuple[str, ...]:
    return tuple(
        address
        for address in binding.addresses
        if owners[address, binding.port].service == config.service
    )


def _host_without_lost(
    binding: PortBinding, kept: tuple[str, ...], host: ConnectHost
) -> ConnectHost:
    pairs = zip(binding.addresses, host.authorities, strict=True)
    return replace(host, authorities=tuple(text for address, text in pairs if address in kept))


def _conflicts(config: ServiceConfig, owners: dict[Claim, ServiceConfig]) -> Iterator[Condition]:
    for address, port in _claims(config):
        owner = owners[address, port]
        if owner.service != config.service:
            yield Condition(
                origin=_origin(config).at(_ADDRESSES[config.service.kind]),
                type="waypost.dev/AddressServed",
                status=False,
                reason="AddressConflict",
                message=f"{address} port {port} belongs to {_origin(owner)}",
                scope=f"{address}:{port}",
            )


def _origin(config: ServiceConfig) -> Origin:
    key = config.service
    return Origin(key.kind, key.namespace, key.name)
