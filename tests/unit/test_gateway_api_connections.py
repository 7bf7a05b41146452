"""What TCPRoutes and TLSRoutes make of connections."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.objects import gateway, meta, reader_of, service
from tests.unit.test_gateway_api_robustness import few, numbers, refs, texts
from translators.gateway_api import assemble, route_conditions, translate_service
from translators.gateway_api.services import ServiceConfig
from translators.ir import Mesh, WaypointName
from translators.ir.listener import ConnectionRule, Share
from translators.ir.tls import TlsHost, TlsTable
from translators.resources.core import ServicePort
from translators.resources.httproute import BackendRef, ParentRef
from translators.resources.tcproute import TcpBackend, TCPRoute, TcpRule, TLSRoute
from translators.xds import check, resource

OLD, NEW = "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"
DB = service("db", "default", ServicePort(90, "tcp"), cluster_ips=("10.96.0.90",))
WEB = service("web", "default", ServicePort(443, "tls"), cluster_ips=("10.96.0.44",))
UNDECLARED = service("any", "default", ServicePort(9000), cluster_ips=("10.96.0.1",))
OWN_DB = "inbound-vip|90|tcp|db.default.svc.cluster.local"
OWN_WEB = "inbound-vip|443|tcp|web.default.svc.cluster.local"
ELSEWHERE = "outbound|90||db.other.svc.cluster.local"
OTHER = service("db", "other", ServicePort(90, "tcp"), labels={})


def to(name: str, port: int, weight: int = 1, namespace: str = "default") -> TcpBackend:
    return TcpBackend(BackendRef("", "Service", namespace, name, port), weight)


def tcp(name: str, *backends: TcpBackend, parent: str = "db", port: int | None = None, **more):
    parents = (ParentRef("", "Service", "default", parent, port),)
    rules = more.pop("rules", (TcpRule(backends),))
    return TCPRoute(meta(name, **more), parents, rules)


def tls(name: str, hosts: tuple[str, ...], *backends: TcpBackend, **more) -> TLSRoute:
    parents = (ParentRef("", "Service", "default", "web", None),)
    return TLSRoute(meta(name, **more), parents, hosts, (TcpRule(backends),))


def config(subject, *objects) -> ServiceConfig:
    reader = reader_of(gateway(), DB, WEB, OTHER, *objects)
    return translate_service(reader, Mesh(), WaypointName("default", "waypoint"), subject)


def rules_of(*routes) -> tuple[ConnectionRule, ...]:
    (host,) = config(DB, *routes).connect_hosts
    return host.rules


def shares(*routes) -> tuple[Share, ...]:
    (rule,) = rules_of(*routes)
    return rule.shares


def test_without_a_route_the_chain_decides():
    assert rules_of() == ()
    assert rules_of(tcp("r", to("db", 90), port=91)) == ()


def test_weights_and_what_can_not_be_had():
    backends = (
        to("db", 90, 3),
        to("db", 90, namespace="other"),
        to("gone", 90, 2),
        to("web", 443, 0),
    )
    assert shares(tcp("r", *backends)) == (Share(OWN_DB, 3), Share(ELSEWHERE), Share(None, 2))
    found = config(DB, tcp("r", *backends))
    assert ELSEWHERE in {one.name for one in found.clusters}
    assert ELSEWHERE in {one.cluster for one in found.destinations}


@pytest.mark.parametrize(
    "rules",
    [
        (),
        (TcpRule(),),
        (TcpRule((to("db", 90, -1),)),),
        (TcpRule((to("db", 90, 1_000_001),)),),
        (TcpRule((to("db", 90),), unreadable=(("backendRefs[1]", "is no object"),)),),
        (TcpRule(), TcpRule((to("db", 90),))),
    ],
)
def test_a_route_that_can_not_be_followed_refuses(rules):
    assert shares(tcp("r", rules=rules)) == ()


def test_the_oldest_route_counts_for_each_audience():
    routes = (
        tcp("a", to("gone", 90), created=NEW),
        tcp("b", to("db", 90), created=OLD),
        tcp("c", to("db", 90, 7), namespace="client"),
    )
    first, last = rules_of(*routes)
    assert (first.peer_namespaces, first.shares) == (("client",), (Share(OWN_DB, 7),))
    assert (last.name, last.peer_namespaces, last.shares) == ("default.b.0", (), (Share(OWN_DB),))


def test_a_backend_that_speaks_http_is_reached_all_the_same():
    pages = service("pages", "default", ServicePort(80, "http"))
    (host,) = config(DB, pages, tcp("r", to("pages", 80))).connect_hosts
    name = "inbound-vip|80|http|pages.default.svc.cluster.local"
    assert host.rules[0].shares == (Share(name),)


def hosts(*routes) -> dict[str, tuple[ConnectionRule, ...]]:
    found = config(WEB, *routes).tls_hosts
    assert {host.authorities for host in found} <= {("10.96.0.44:443",)}
    return {host.server_name: host.rules for host in found}


def first_names(*routes) -> dict[str, list[str]]:
    return {name: [rule.name for rule in rules] for name, rules in hosts(*routes).items()}


def test_only_tlsroutes_make_a_port_look_at_server_names():
    assert hosts() == {}
    (host,) = config(WEB).connect_hosts
    assert host.cluster == "main_internal"
    (host,) = config(WEB, tls("r", ("a.b",), to("web", 443))).connect_hosts
    assert (host.cluster, host.rules) == ("main_internal_tls", ())


def test_the_longest_name_then_the_oldest_route_then_tcp_routes():
    routes = (
        tls("new", ("*.b.c", "x.b.c"), to("web", 443), created=NEW),
        tls("old", ("*.b.c", "*.C"), to("web", 443), created=OLD),
        tcp("rest", to("web", 443), parent="web"),
    )
    assert first_names(*routes) == {
        "*": ["default.rest.0"],
        "*.b.c": ["default.old.0"],
        "*.c": ["default.old.0"],
        "x.b.c": ["default.new.0"],
    }


def test_names_that_nobody_has_are_refused():
    assert hosts(tls("r", ("a.b",), to("web", 443)))["*"] == (ConnectionRule("unmatched", ()),)


def test_clients_of_another_namespace_have_routes_of_their_own():
    theirs = tls("r", ("*.b",), to("web", 443), namespace="client")
    assert first_names(theirs) == {
        "*": ["unmatched", "default"],
        "*.b": ["client.r.0", "default"],
    }
    ours = tls("ours", ("a.b",), to("web", 443))
    assert first_names(theirs, ours) == {
        "*": ["unmatched", "unmatched"],
        "*.b": ["client.r.0", "unmatched"],
        "a.b": ["client.r.0", "default.ours.0"],
    }


def test_a_lost_address_is_lost_for_server_names_too():
    rival = service("a", "default", ServicePort(443, "tls"), cluster_ips=WEB.cluster_ips)
    route = tls("r", ("a.b",), to("web", 443))
    both = assemble(Mesh(), [config(rival), config(WEB, route)])
    (table,) = [node for node in both.nodes if isinstance(node, TlsTable)]
    assert table.hosts == ()
    alone = assemble(Mesh(), [config(WEB, route)])
    (table,) = [node for node in alone.nodes if isinstance(node, TlsTable)]
    assert isinstance(table.hosts[0], TlsHost)


def told(subject, *others) -> dict[str, tuple[bool, str, str]]:
    reader = reader_of(gateway(), DB, WEB, OTHER, subject, *others)
    found = route_conditions(reader, Mesh(), subject)
    return {one.type: (one.status, one.reason, one.origin.path) for one in found}


def test_conditions():
    assert told(tcp("r", to("db", 90)))["Accepted"] == (True, "Accepted", "")
    missing = told(tcp("r", to("gone", 90)))
    assert missing["ResolvedRefs"][1:] == ("BackendNotFound", "spec.rules[0].backendRefs[0].name")
    second = told(tcp("r", rules=(TcpRule((to("db", 90),)), TcpRule())))
    assert second["PartiallyInvalid"] == (True, "UnsupportedValue", "spec.rules[1]")
    weight = told(tcp("r", to("db", 90, -1)))
    assert weight["Accepted"] == (
        False,
        "UnsupportedValue",
        "spec.rules[0].backendRefs[0].weight",
    )
    names = told(tls("r", ("a b",), to("web", 443)))
    assert names["Accepted"] == (False, "UnsupportedValue", "spec.hostnames[0]")
    nowhere = told(tcp("r", to("db", 90), parent="gone"))
    assert nowhere["Accepted"] == (False, "NoMatchingParent", "spec.parentRefs[0]")


LOST = (False, "Conflicted")


def test_a_route_whose_connections_an_older_one_has_is_told_so():
    old, new = tcp("old", to("db", 90), created=OLD), tcp("new", to("db", 90), created=NEW)
    assert told(old, new)["Accepted"][0]
    assert told(new, old)["Accepted"] == (*LOST, "spec.parentRefs[0]")
    elsewhere = tcp("old", to("db", 90), created=OLD, namespace="clients")
    assert told(new, elsewhere)["Accepted"][0], "each namespace of clients has its own"
    first = tls("first", ("a.example", "*.b.example"), to("web", 443), created=OLD)
    same = tls("same", ("A.example",), to("web", 443), created=NEW)
    some = tls("some", ("a.example", "c.b.example"), to("web", 443), created=NEW)
    assert told(same, first)["Accepted"] == (*LOST, "spec.hostnames")
    assert told(some, first)["Accepted"][0]
    assert told(some, first)["PartiallyInvalid"] == (True, "Conflicted", "spec.hostnames")
    assert "PartiallyInvalid" not in told(first, same, some)
    rest = tcp("rest", to("db", 90), parent="web", created=OLD)
    assert told(rest, first)["Accepted"][0]
    every = tls("every", (), to("web", 443), created=NEW)
    assert told(rest, every)["Accepted"] == (*LOST, "spec.parentRefs[0]")


tcp_rules = few(st.builds(TcpRule, few(st.builds(TcpBackend, refs, numbers)), texts))


@given(tcp_rules, tcp_rules, few(texts))
def test_any_routes_become_tables_that_can_be_encoded(tcp_given, tls_given, names):
    parents = (ParentRef("", "Service", "default", "web", None),)
    routes = (
        TCPRoute(meta("tcp"), parents, tcp_given),
        TLSRoute(meta("tls"), parents, names, tls_given),
    )
    made = assemble(Mesh(), [config(WEB, *routes), config(UNDECLARED)])
    for node in made.nodes:
        assert resource(node).body
    assert check(made.nodes) == ()
    for route in routes:
        told(route)
