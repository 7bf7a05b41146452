"""Which waypoint serves a service."""

from dataclasses import replace

import pytest

from tests.support.objects import (
    USE,
    USE_NAMESPACE,
    WAYPOINT_FOR,
    gateway,
    meta,
    namespace,
    reader_of,
    service,
    world_of,
)
from translators.gateway_api import (
    Bound,
    NotBound,
    bound_services,
    identity_of,
    waypoint_of,
    waypoints,
)
from translators.gateway_api.binding import canary_of
from translators.ir import Mesh, WaypointName
from translators.resources.core import Service
from translators.resources.gateway import Gateway, GatewayClass, LabelSelector, SelectorTerm
from translators.world import Change, Reader

HERE = WaypointName("default", "waypoint")
INFRA = WaypointName("infra", "waypoint")


def reason(found: Bound | NotBound | None) -> str:
    assert isinstance(found, NotBound)
    return found.reason


@pytest.mark.parametrize(
    ("own", "inherited", "expected"),
    [
        ({USE: "waypoint"}, {}, HERE),
        ({}, {USE: "waypoint"}, HERE),
        ({USE: "waypoint"}, {USE: "other"}, HERE),
        ({USE: "none"}, {USE: "waypoint"}, None),
        ({}, {USE: "none"}, None),
        ({}, {}, None),
        ({USE_NAMESPACE: "infra"}, {USE: "waypoint"}, HERE),  # only read on the same object
        ({USE: "waypoint", USE_NAMESPACE: "infra"}, {}, INFRA),
        ({}, {USE: "waypoint", USE_NAMESPACE: "infra"}, INFRA),
        ({USE: "waypoint", "gateway.istio.io/managed": "istio.io-mesh-controller"}, {}, None),
        ({USE: "waypoint", "gateway.istio.io/managed": "istio.io-eastwest-controller"}, {}, None),
        ({USE: "waypoint", "gateway.istio.io/managed": "istio.io-gateway-controller"}, {}, HERE),
    ],
)
def test_labels_decide(own, inherited, expected):
    subject = service(labels=own)
    shared = gateway(namespace="infra", allowed_from="All")
    reader = reader_of(subject, namespace(labels=inherited), gateway(), shared)
    found = waypoint_of(reader, subject)
    assert found == (Bound(expected) if expected else None)
    for waypoint in (HERE, INFRA):
        assert bound_services(reader, waypoint) == ([subject] if waypoint == expected else [])


def test_a_label_that_names_no_waypoint_does_not_fall_back_to_the_namespace():
    subject = service(labels={USE: "gone"})
    reader = reader_of(subject, namespace(labels={USE: "waypoint"}), gateway())
    found = waypoint_of(reader, subject)
    assert reason(found) == "WaypointIsNotReady"
    assert found.message == 'waypoint "default/gone" is not ready'
    assert bound_services(reader, HERE) == []


def test_external_names_and_the_waypoint_itself_have_no_waypoint():
    external = service("x", external_name="example.com")
    own = service("waypoint", labels={})
    reader = reader_of(external, own, gateway(), namespace(labels={USE: "waypoint"}))
    assert waypoint_of(reader, external) is None
    assert waypoint_of(reader, own) is None


@pytest.mark.parametrize(
    ("allowed", "selector", "expected"),
    [
        ("Same", None, False),
        ("All", None, True),
        ("None", None, False),
        ("Nonsense", None, False),
        ("Selector", None, False),
        ("Selector", LabelSelector(), True),
        ("Selector", LabelSelector({"team": "shop"}), True),
        ("Selector", LabelSelector({"team": "bank"}), False),
        ("Selector", LabelSelector(terms=(SelectorTerm("team", "In", ("a", "shop")),)), True),
        ("Selector", LabelSelector(terms=(SelectorTerm("team", "NotIn", ("shop",)),)), False),
        ("Selector", LabelSelector(terms=(SelectorTerm("x", "NotIn", ("shop",)),)), True),
        ("Selector", LabelSelector(terms=(SelectorTerm("team", "Exists"),)), True),
        ("Selector", LabelSelector(terms=(SelectorTerm("team", "DoesNotExist"),)), False),
        ("Selector", LabelSelector(terms=(SelectorTerm("team", "Nonsense"),)), False),
    ],
)
def test_allowed_routes_admit_other_namespaces(allowed, selector, expected):
    subject = service(namespace="shop", labels={USE: "waypoint", USE_NAMESPACE: "infra"})
    shared = gateway(namespace="infra", allowed_from=allowed, selector=selector)
    reader = reader_of(subject, namespace("shop", {"team": "shop"}), shared)
    found = waypoint_of(reader, subject)
    if expected:
        assert found == Bound(INFRA)
    else:
        assert reason(found) == "AttachmentDenied"


def test_a_gateway_without_hbone_listener_admits_its_own_namespace_only():
    subject, stranger = service(), service("other", "shop", labels={USE: "waypoint"})
    bare = Gateway(meta("waypoint"), "istio-waypoint")
    reader = reader_of(subject, stranger, bare)
    assert waypoint_of(reader, subject) == Bound(HERE)
    assert reason(waypoint_of(reader, stranger)) == "WaypointIsNotReady"


@pytest.mark.parametrize(
    ("on_gateway", "on_class", "served"),
    [
        (None, None, True),
        ("service", None, True),
        ("all", None, True),
        ("workload", None, False),
        ("none", None, False),
        ("nonsense", None, False),
        (None, "workload", False),
        ("service", "workload", True),
        ("workload", "all", False),
    ],
)
def test_traffic_types(on_gateway, on_class, served):
    def labels(value):
        return {WAYPOINT_FOR: value} if value else {}

    subject = service()
    its_class = GatewayClass(
        meta("istio-waypoint", "", labels=labels(on_class)), "istio.io/mesh-controller"
    )
    reader = reader_of(subject, gateway(labels=labels(on_gateway)), its_class)
    found = waypoint_of(reader, subject)
    if served:
        assert found == Bound(HERE)
    else:
        assert reason(found) == "UnsupportedTrafficType"


def test_a_gateway_of_another_class_needs_an_address():
    subject = service()
    other = gateway(class_name="nginx")
    assert reason(waypoint_of(reader_of(subject, other), subject)) == "WaypointIsNotReady"
    ready = Gateway(other.meta, "nginx", other.listeners, (("IPAddress", "10.0.0.1"),))
    assert waypoint_of(reader_of(subject, ready), subject) == Bound(HERE)


def test_classes_by_controller_are_served_and_others_are_not():
    mine = GatewayClass(meta("mine", ""), "istio.io/mesh-controller")
    reader = reader_of(
        mine,
        GatewayClass(meta("theirs", ""), "example.com/controller"),
        gateway("a", class_name="mine"),
        gateway("b", class_name="theirs"),
        gateway("c"),
    )
    assert waypoints(reader) == [WaypointName("default", "a"), WaypointName("default", "c")]
    taken = GatewayClass(meta("istio-waypoint", ""), "example.com/controller")
    assert waypoints(reader_of(taken, gateway())) == []


def test_identity_is_that_of_the_service_account():
    assert identity_of(Mesh(), gateway()) == "spiffe://cluster.local/ns/default/sa/waypoint"
    named = Gateway(meta("w"), "istio-waypoint", service_account="robot")
    assert identity_of(Mesh("td"), named) == "spiffe://td/ns/default/sa/robot"


@pytest.mark.parametrize(
    "change",
    [
        namespace(labels={USE: "none"}),
        gateway(labels={WAYPOINT_FOR: "none"}),
        service("another", labels={USE: "waypoint"}),
        service("newcomer", labels={}),
        GatewayClass(meta("istio-waypoint", ""), "example.com/controller"),
    ],
)
def test_whatever_changes_the_bound_services_was_looked_up(change):
    world = world_of([gateway(), namespace(labels={USE: "waypoint"}), service(labels={})])
    reader = Reader(world)
    before = bound_services(reader, HERE)
    touched = world.apply([Change(change.key, change)])
    assert bound_services(Reader(world), HERE) != before
    assert touched & reader.questions


@pytest.mark.parametrize(
    ("weight", "is_one"), [("0", True), ("100", True), ("101", False), ("x", False), ("", False)]
)
def test_weights_of_canaries(weight: str, is_one: bool):
    assert isinstance(canary_of(*with_canary(weight)), Bound) is is_one


def test_a_weight_of_any_length_is_read():
    """Python by itself refuses to read thousands of digits, and an annotation may have them."""
    assert reason(canary_of(*with_canary("9" * 5000))) == "CanaryInvalidWeight"


def with_canary(weight: str) -> tuple[Reader, Service]:
    labels = {USE: "waypoint", f"{USE}-canary": "other"}
    annotated = meta("a", "default", labels=labels, annotations={f"{USE}-canary-weight": weight})
    subject = replace(service(), meta=annotated)
    return reader_of(gateway(), gateway("other"), subject), subject
