"""Near endpoints first: what services ask for, and what each place is given."""

from collections.abc import Mapping

import pytest

from translators.compiler import Compiler
from translators.ir.endpoint import Endpoint, EndpointSet, Locality
from translators.ir.place import NOWHERE, Nearness, Place
from translators.ir.waypoint import Mesh, WaypointName
from translators.placement import placed
from translators.resources import parse
from translators.world import Change
from xds_server.snapshots import Observer, ProxyKey, SnapshotStore

HOME = WaypointName("shop", "waypoint")
ALL = (("r1", "a", "n1"), ("r1", "a", "n2"), ("r1", "b", "n3"), ("r2", "c", "n4"))


def endpoints(nearness: Nearness, *, node_only: bool = False) -> EndpointSet:
    made = (
        Endpoint(f"10.0.0.{n}", 80, locality=Locality(region, zone), node=node)
        for n, (region, zone, node) in enumerate(ALL, 1)
    )
    return EndpointSet("c", tuple(made), (), nearness, node_only)


def ranked(found: EndpointSet) -> list[tuple[str, int]]:
    return [(one.address[-1], one.priority) for one in found.endpoints]


@pytest.mark.parametrize(
    ("nearness", "place", "expected"),
    [
        (Nearness.ZONE, Place("r1", "a", "n1"), [("1", 0), ("2", 0), ("3", 1), ("4", 2)]),
        (Nearness.NODE, Place("r1", "a", "n1"), [("1", 0), ("2", 1), ("3", 2), ("4", 3)]),
        (Nearness.ZONE, Place("r2", "c"), [("1", 1), ("2", 1), ("3", 1), ("4", 0)]),
        (Nearness.ZONE, Place("r1", "z"), [("1", 0), ("2", 0), ("3", 0), ("4", 1)]),
        (Nearness.ZONE, Place("", "elsewhere"), [("1", 0), ("2", 0), ("3", 0), ("4", 0)]),
        (Nearness.NODE, NOWHERE, [("1", 0), ("2", 0), ("3", 0), ("4", 0)]),
    ],
)
def test_priorities_follow_distance_without_a_gap(
    nearness: Nearness, place: Place, expected: list[tuple[str, int]]
):
    assert ranked(placed(endpoints(nearness), place)) == expected


def test_what_is_for_one_node_only_is_not_even_second_best():
    local = endpoints(Nearness.NODE, node_only=True)
    assert ranked(placed(local, Place("r1", "a", "n2"))) == [("2", 0)]
    assert ranked(placed(local, Place("r1", "a", "other"))) == []
    assert len(placed(local, NOWHERE).endpoints) == 4


def service(annotations: Mapping[str, str] = {}, **spec: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "labels": {"istio.io/use-waypoint": "waypoint"},
            "annotations": dict(annotations),
        },
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "http", "port": 80}], **spec},
    }


def slice_of(*zones: str) -> dict[str, object]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "web-1",
            "namespace": "shop",
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [
            {"addresses": [f"10.0.0.{n}"], "zone": zone, "nodeName": f"node-{zone}"}
            for n, zone in enumerate(zones, 1)
        ],
    }


GATEWAY = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "waypoint", "namespace": "shop"},
    "spec": {
        "gatewayClassName": "istio-waypoint",
        "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}],
    },
}
NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": "node-a",
        "labels": {"topology.kubernetes.io/region": "r1", "topology.kubernetes.io/zone": "a"},
    },
}


def put(compiler: Compiler, *manifests: object) -> None:
    values = [parsed.value for parsed in map(parse, manifests)]
    compiler.apply(Change(value.key, value) for value in values if value is not None)


def compiled(*manifests: object) -> Compiler:
    compiler = Compiler(Mesh())
    put(compiler, GATEWAY, *manifests)
    return compiler


ANNOTATION = "networking.istio.io/traffic-distribution"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (service(), Nearness.ANYWHERE),
        (service(trafficDistribution="PreferClose"), Nearness.ZONE),
        (service(trafficDistribution="PreferSameZone"), Nearness.ZONE),
        (service(trafficDistribution="PreferSameNode"), Nearness.NODE),
        (service({ANNOTATION: "prefersamenode"}), Nearness.NODE),
        (service({ANNOTATION: "PreferSameNode"}, trafficDistribution="PreferClose"), Nearness.ZONE),
        (service({ANNOTATION: "Any"}), Nearness.ANYWHERE),
        (service(internalTrafficPolicy="Local"), Nearness.NODE),
    ],
)
def test_what_a_service_asks_for(given: object, expected: Nearness):
    assert compiled(given).edition(HOME).nearness is expected


def test_a_namespace_asks_for_services_that_do_not():
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "shop", "annotations": {ANNOTATION: "PreferClose"}},
    }
    assert compiled(namespace, service()).edition(HOME).nearness is Nearness.ZONE
    own = service({ANNOTATION: "Any"})
    assert compiled(namespace, own).edition(HOME).nearness is Nearness.ANYWHERE


def test_a_wish_that_comes_or_goes_is_an_edition_without_a_changed_resource():
    compiler = compiled(service(), slice_of("a", "b"))
    before = compiler.edition(HOME)
    put(compiler, service(trafficDistribution="PreferClose"))
    with_wish = compiler.edition(HOME)
    assert with_wish.number == before.number + 1
    assert with_wish.changed == frozenset()
    put(compiler, service())
    assert compiler.edition(HOME).near == {}


def test_nodes_tell_the_region_where_it_counts():
    compiler = compiled(NODE, service(trafficDistribution="PreferClose"), slice_of("a", "b"))
    (near,) = compiler.edition(HOME).near.values()
    assert [one.locality for one in near.endpoints] == [Locality("r1", "a"), Locality("", "b")]
    assert compiler.locate(Place(node="node-a")) == Place("r1", "a", "node-a")


def test_the_cluster_knows_where_a_proxys_pod_runs():
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "waypoint-1", "namespace": "shop"},
        "spec": {"nodeName": "node-a"},
    }
    located = compiled(NODE, pod).locate(Place(pod="shop/waypoint-1"))
    assert located == Place("r1", "a", "node-a")
    assert compiled(NODE, pod).locate(Place(pod="shop/other")) == NOWHERE


class Heard(Observer):
    def __init__(self) -> None:
        self.events: list[tuple[str, Place]] = []

    def attached(self, key: ProxyKey) -> None:
        self.events.append(("attached", key.place))

    def detached(self, key: ProxyKey) -> None:
        self.events.append(("detached", key.place))


def test_streams_are_parted_by_place_as_long_as_that_counts():
    store, heard, woken = SnapshotStore(), Heard(), list[str]()
    store.observe(heard)
    a, b = Place("r1", "a", "n1"), Place("r1", "b", "n2")
    zone_a, zone_b = Place("r1", "a"), Place("r1", "b")
    with (
        store.attach(ProxyKey(HOME, "x", a), lambda: woken.append("a")) as first,
        store.attach(ProxyKey(HOME, "x", b), lambda: woken.append("b")) as second,
    ):
        assert first.key == second.key == ProxyKey(HOME, "x")
        store.regard(HOME, Nearness.ZONE)
        assert (first.key.place, second.key.place) == (zone_a, zone_b)
        assert set(store.proxies(HOME)) == {first.key, second.key}
        assert sorted(woken) == ["a", "b"]
        with store.attach(ProxyKey(HOME, "x", a), lambda: None) as third:
            assert third.key == first.key
        store.regard(HOME, Nearness.ANYWHERE)
        assert first.key == second.key == ProxyKey(HOME, "x")
    assert heard.events == [
        ("attached", NOWHERE),
        ("attached", zone_a),
        ("attached", zone_b),
        ("detached", NOWHERE),
        ("attached", NOWHERE),
        ("detached", zone_a),
        ("detached", zone_b),
        ("detached", NOWHERE),
    ]
    assert store.attached() == ()
