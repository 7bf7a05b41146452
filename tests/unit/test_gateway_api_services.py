"""A service and what it adds to its waypoint."""

from dataclasses import replace

from tests.support.objects import (
    USE,
    USE_NAMESPACE,
    backend,
    gateway,
    meta,
    pod,
    reader_of,
    route,
    rule,
    service,
)
from translators.gateway_api import Destination, assemble, endpoint_set, translate_service
from translators.gateway_api.ports import Unguarded
from translators.ir import Mesh, WaypointName
from translators.ir.authorization import Authorization
from translators.ir.cluster import (
    InternalCluster,
    OriginateCluster,
    ServiceCluster,
    UpstreamProtocol,
)
from translators.ir.endpoint import Endpoint
from translators.ir.listener import (
    ConnectHost,
    ConnectOriginate,
    ConnectTable,
    HttpChain,
    InternalListener,
    PortBinding,
    TcpChain,
)
from translators.ir.route import Forward, RouteTable
from translators.resources.core import ServicePort
from translators.resources.metadata import KubernetesObject
from translators.resources.serviceentry import ServiceEntry

MESH = Mesh()
WAYPOINT = WaypointName("default", "waypoint")
REVIEWS = "reviews.default.svc.cluster.local"
HTTP = f"inbound-vip|9080|http|{REVIEWS}"
TCP = f"inbound-vip|9080|tcp|{REVIEWS}"


def translate(subject, *others: KubernetesObject, **given):
    reader = reader_of(gateway(), subject, *others)
    return translate_service(reader, MESH, WAYPOINT, subject, **given)


def test_http_port_gets_chain_table_cluster_and_host():
    config = translate(service(cluster_ips=("10.96.0.1", "FD00::1")))
    addresses = ("10.96.0.1", "fd00::1")
    assert config.bindings == (PortBinding(addresses, 9080, HttpChain(HTTP, REVIEWS, 9080), None),)
    assert config.connect_hosts == (
        ConnectHost(f"{REVIEWS}:9080", ("10.96.0.1:9080", "[fd00::1]:9080"), "main_internal"),
    )
    assert [(one.name, one.protocol) for one in config.clusters] == [(HTTP, UpstreamProtocol.HTTP1)]
    assert config.destinations == (Destination(HTTP, "default", "reviews", 9080),)
    (table,) = config.tables
    assert (table.name, [one.name for one in table.routes]) == (HTTP, ["default"])


def test_default_route_repeats_only_safe_methods_and_has_no_timeout():
    (table,) = translate(service()).tables
    action = table.routes[0].action
    assert isinstance(action, Forward)
    assert action.timeout_ms is None
    assert action.retry is not None
    assert action.retry.methods == ("GET", "HEAD", "OPTIONS")
    assert action.retry.attempts == 2


def test_undeclared_port_has_both_chains_and_is_sniffed():
    config = translate(service("reviews", "default", ServicePort(9080)))
    (binding,) = config.bindings
    assert binding.http == HttpChain(HTTP, REVIEWS, 9080)
    assert binding.tcp == TcpChain(TCP, TCP)
    assert config.connect_hosts[0].cluster == "main_internal_sniff"
    assert {one.name: one.protocol for one in config.clusters} == {
        HTTP: UpstreamProtocol.AS_DOWNSTREAM,
        TCP: UpstreamProtocol.TCP,
    }


def test_declared_tcp_port_has_no_route_table():
    config = translate(service("reviews", "default", ServicePort(9080, "tcp")))
    assert config.tables == ()
    assert config.bindings[0].http is None
    assert config.connect_hosts[0].cluster == "main_internal"


def test_policies_land_where_they_are_decided():
    guard = Unguarded(Authorization(allow=()), Authorization(dry_run_allow=()), Authorization())
    ports = (ServicePort(80, "http"), ServicePort(81, "tcp"), ServicePort(82))
    config = translate(service("reviews", "default", *ports), guard_of=lambda _port: guard)
    assert [host.authorization for host in config.connect_hosts] == [
        Authorization(),
        guard.tcp,
        guard.connect,
    ]
    assert [table.authorization for table in config.tables] == [guard.http, guard.http]
    opaque = [host.opaque for host in config.connect_hosts]
    assert opaque == [Authorization(), Authorization(), guard.tcp]


def test_udp_port_is_left_out_and_said_so():
    config = translate(service("reviews", "default", ServicePort(53, "dns", "UDP")))
    assert config.bindings == ()
    assert [one.reason for one in config.conditions] == ["UnsupportedProtocol"]


def test_same_number_for_udp_and_tcp_serves_tcp():
    ports = (ServicePort(53, "dns", "UDP"), ServicePort(53, "dns-tcp"))
    config = translate(service("reviews", "default", *ports))
    assert [binding.port for binding in config.bindings] == [53]


def test_headless_service_is_only_a_destination():
    config = translate(service(cluster_ips=(), headless=True))
    assert (config.bindings, config.connect_hosts, config.tables) == ((), (), ())
    assert [one.name for one in config.clusters] == [HTTP]


def test_foreign_backend_brings_its_outbound_cluster_own_one_does_not():
    ratings = service("ratings", labels={})
    other = service("reviews-v2", cluster_ips=("10.96.0.3",))
    backends = (backend("ratings"), backend("reviews-v2"))
    config = translate(service(), ratings, other, route("r", rule(backends=backends)))
    name = "outbound|9080||ratings.default.svc.cluster.local"
    assert [one.name for one in config.clusters] == [HTTP, name]
    assert Destination(name, "default", "ratings", 9080) in config.destinations
    action = config.tables[0].routes[0].action
    assert isinstance(action, Forward)
    assert [one.cluster for one in action.backends] == [
        name,
        "inbound-vip|9080|http|reviews-v2.default.svc.cluster.local",
    ]


def test_backend_with_a_tcp_port_of_the_same_waypoint_gets_an_http_cluster():
    other = service("db", "default", ServicePort(9080, "tcp"), cluster_ips=("10.96.0.3",))
    config = translate(service(), other, route("r", rule(backends=(backend("db"),))))
    found = [one for one in config.clusters if one.name.startswith("outbound|")]
    assert [one.protocol for one in found] == [UpstreamProtocol.HTTP1]


def test_waypoint_without_services_has_its_infrastructure():
    assert assemble(MESH, []).nodes == (
        ConnectOriginate(),
        OriginateCluster(("cluster.local",)),
        InternalCluster("main_internal", "main_internal"),
        InternalCluster("main_internal_sniff", "main_internal_sniff"),
        ConnectTable(()),
    )


def test_assembly_sorts_listeners_and_does_not_depend_on_order():
    one = translate(service("a", cluster_ips=("10.96.0.1",)))
    two = translate(service("b", "default", ServicePort(1), cluster_ips=("10.96.0.2",)))
    assembly = assemble(MESH, [two, one])
    assert assembly == assemble(MESH, [one, two])
    listeners = [node for node in assembly.nodes if isinstance(node, InternalListener)]
    assert [(node.name, node.sniff, len(node.bindings)) for node in listeners] == [
        ("main_internal", False, 1),
        ("main_internal_sniff", True, 1),
    ]
    (connect,) = [node for node in assembly.nodes if isinstance(node, ConnectTable)]
    tables = [node.name for node in assembly.nodes if isinstance(node, RouteTable)]
    assert list(connect.requires_tables) == tables
    clusters = [node.name for node in assembly.nodes if isinstance(node, ServiceCluster)]
    assert sorted(one.cluster for one in assembly.destinations) == clusters


def test_an_address_belongs_to_one_service_and_the_other_is_told():
    ports = (ServicePort(80, "http"), ServicePort(81, "http"))
    one = translate(service("a", "default", ports[0]))
    two = translate(service("b", "default", *ports))
    assembly = assemble(MESH, [one, two])
    (connect,) = [node for node in assembly.nodes if isinstance(node, ConnectTable)]
    authorities = [name for host in connect.hosts for name in host.authorities]
    assert authorities == ["10.96.0.1:80", "10.96.0.1:81"]
    assert [(c.reason, c.origin.name) for c in assembly.conditions] == [("AddressConflict", "b")]


def test_no_service_entry_takes_the_address_of_a_service_however_old_it_is():
    ports = (ServicePort(80, "http", app_protocol="http"),)
    old = meta("e", "other", created="2020", labels={USE: "waypoint", USE_NAMESPACE: "default"})
    entry = ServiceEntry(old, ("e.example",), ("10.96.0.1",), ports=ports, resolution="STATIC")
    young = replace(service("a", "default", *ports), meta=meta("a", created="2025"))
    open_gateway = gateway(allowed_from="All")
    configs = [
        translate_service(reader_of(open_gateway, entry, young), MESH, WAYPOINT, one)
        for one in (entry, young)
    ]
    assembly = assemble(MESH, configs)
    (connect,) = [node for node in assembly.nodes if isinstance(node, ConnectTable)]
    assert [host.name for host in connect.hosts] == ["a.default.svc.cluster.local:80"]
    assert [(c.reason, c.origin.name) for c in assembly.conditions] == [("AddressConflict", "e")]


def test_endpoints_of_a_destination():
    reader = reader_of(service(), pod("reviews-1"))
    found = endpoint_set(reader, MESH, Destination(HTTP, "default", "reviews", 9080))
    identity = "spiffe://cluster.local/ns/default/sa/default"
    assert found.endpoints == (Endpoint("10.244.1.6", 8080, tunnel=True, identity=identity),)
    gone = endpoint_set(reader, MESH, Destination(HTTP, "default", "gone", 9080))
    assert gone.endpoints == ()
