"""What users are told about their objects."""

from dataclasses import replace

import pytest

from tests.support.objects import (
    GATEWAY_GROUP,
    USE,
    backend,
    gateway,
    meta,
    namespace,
    parent,
    path,
    pod,
    reader_of,
    route,
    rule,
    service,
)
from translators.gateway_api import (
    gateway_addresses,
    gateway_conditions,
    route_conditions,
    service_conditions,
)
from translators.gateway_api.binding import CONTROLLER
from translators.gateway_api.features import SUPPORTED_FEATURES
from translators.ir import Condition, Mesh, Origin
from translators.resources.core import ServicePort
from translators.resources.gateway import Gateway, GatewayClass, GatewayListener
from translators.resources.httproute import BackendRef, HttpFilter, HTTPRoute, ParentRef
from translators.status import (
    gateway_class_status,
    gateway_status,
    is_fine,
    object_status,
    plain_status,
    route_status,
)

MESH = Mesh()
NOON = "2024-01-01T12:00:00Z"


def noon(_condition: Condition) -> str:
    return NOON


def told(subject: HTTPRoute, *objects) -> dict[str, tuple[bool, str, str]]:
    objects = objects or (service(), gateway())
    found = route_conditions(reader_of(subject, *objects), MESH, subject)
    return {one.type: (one.status, one.reason, one.message) for one in found}


def test_a_route_that_works():
    assert told(route("r", rule())) == {
        "Accepted": (True, "Accepted", "Route was valid"),
        "ResolvedRefs": (True, "ResolvedRefs", "All references resolved"),
        "ResolvedWaypoints": (True, "ResolvedWaypoints", "All waypoints resolved"),
    }


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (parent("gone"), 'parent service: "gone" not found'),
        (
            parent(port=1),
            'parent service: "reviews" has no TCP port 1; those that take routes are: 80',
        ),
        (
            parent(port=5432),
            'parent service: "reviews" does not speak HTTP (appProtocol: http) on port 5432',
        ),
    ],
)
def test_no_matching_parent(wanted, message):
    subject = service("reviews", "default", ServicePort(5432, "tcp"), ServicePort(80, "http"))
    found = told(route("r", rule(), parents=(wanted,)), subject, gateway())
    assert found["Accepted"] == (False, "NoMatchingParent", f"spec.parentRefs[0]: {message}")


def test_a_service_without_http_takes_no_routes():
    found = told(route("r", rule()), service("reviews", "default", ServicePort(1, "tcp")))
    assert found["Accepted"][:2] == (False, "NoMatchingParent")
    assert "does not speak HTTP (appProtocol: http) on any port" in found["Accepted"][2]


@pytest.mark.parametrize(
    ("one", "reason", "place", "message"),
    [
        (
            backend("gone"),
            "BackendNotFound",
            "name",
            "backend(gone.default.svc.cluster.local) not found; "
            "create the Service or correct the name",
        ),
        (
            backend(port=1),
            "BackendNotFound",
            "port",
            "backend(reviews.default.svc.cluster.local) has no TCP port 1; it has: 9080",
        ),
        (backend(port=None), "InvalidDestination", "port", "port is required in backendRef"),
        (
            replace(backend(), ref=BackendRef("", "Lambda", "default", "x")),
            "InvalidKind",
            "kind",
            "referencing unsupported backendRef: Lambda; use a Service",
        ),
        (
            backend(filters=(HttpFilter("ExtensionRef"),)),
            "InvalidFilter",
            "filters[0].extensionRef",
            "no ExtensionRef filter is supported",
        ),
    ],
)
def test_references_that_do_not_resolve(one, reason, place, message):
    found = told(route("r", rule(backends=(backend(), one))))
    message = f"spec.rules[0].backendRefs[1].{place}: {message}"
    assert found["ResolvedRefs"] == (False, reason, message)
    assert found["Accepted"][0]
    assert "PartiallyInvalid" not in found


def test_a_route_with_some_bad_rules_is_partially_invalid_and_names_the_field():
    subject = route("r", rule(), rule(timeout_request="soon"))
    found = told(subject)
    message = (
        "Dropped Rule: spec.rules[1].timeouts.request: 'soon' is no duration; "
        "write it as 1h30m, 10s or 500ms"
    )
    assert found["Accepted"] == (True, "Accepted", "Route was valid")
    assert found["PartiallyInvalid"] == (True, "UnsupportedValue", message)
    reader = reader_of(subject, service(), gateway())
    (where,) = [
        one.origin
        for one in route_conditions(reader, MESH, subject)
        if one.type == "PartiallyInvalid"
    ]
    assert where == Origin("HTTPRoute", "default", "r", "spec.rules[1].timeouts.request")


def test_a_route_with_only_bad_rules_is_not_accepted():
    bad_match = path("(", "RegularExpression")
    found = told(route("r", rule(timeout_request="soon"), rule(bad_match)))
    assert found["Accepted"][:2] == (False, "UnsupportedValue")
    assert "PartiallyInvalid" not in found
    partly = told(route("r", rule(bad_match, path("/"))))
    assert partly["Accepted"][0]
    assert partly["PartiallyInvalid"][2].startswith("Dropped Rule: spec.rules[0].matches[0].path")


def test_long_lists_of_issues_are_counted():
    found = told(route("r", *(rule(timeout_request="soon") for _ in range(12))))
    assert found["Accepted"][2].endswith("; and 2 more")


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ((service(labels={}), gateway()), "NoWaypoint"),
        ((service(),), "WaypointIsNotReady"),
        ((gateway(),), "NoWaypoint"),
    ],
)
def test_a_route_that_no_waypoint_respects_says_so(objects, reason):
    assert told(route("r", rule()), *objects)["ResolvedWaypoints"][:2] == (False, reason)


def test_only_what_is_ours_is_spoken_for():
    def to_gateway(name):
        return ParentRef(GATEWAY_GROUP, "Gateway", "default", name)

    parents = (to_gateway("nginx"), to_gateway("waypoint"), ParentRef("x", "Y", "default", "z"))
    subject = route("r", rule(), parents=parents)
    reader = reader_of(subject, gateway(), gateway("nginx", class_name="nginx"))
    found = route_conditions(reader, MESH, subject)
    assert [(one.scope, one.reason) for one in found] == [
        ("parentRefs[1]", "NotAllowedByListeners")
    ]


def test_a_route_of_another_implementation_s_waypoint_is_left_alone():
    other = gateway(class_name="nginx")
    other = Gateway(other.meta, "nginx", other.listeners, (("IPAddress", "10.0.0.1"),))
    assert told(route("r", rule()), service(), other) == {}


def test_service_conditions():
    def of(subject, *objects):
        found = service_conditions(reader_of(subject, *objects), Mesh(), subject)
        return [(one.type, one.status, one.reason, one.message) for one in found]

    bound, kind = "Successfully attached to waypoint default/waypoint", "istio.io/WaypointBound"
    assert of(service(labels={})) == []
    assert of(service(), gateway()) == [(kind, True, "WaypointAccepted", bound)]
    assert of(service()) == [
        (kind, False, "WaypointIsNotReady", 'waypoint "default/waypoint" is not ready')
    ]
    ingress = "istio.io/ingress-use-waypoint"
    yes = service(labels={USE: "waypoint", ingress: "true"})
    no = namespace(labels={ingress: "false"})
    assert of(yes, no, gateway())[0][3] == f"{bound}. Ingress traffic will traverse the waypoint"
    assert of(service(), no, gateway())[0][3].startswith(f"{bound}. Ingress traffic is not using")


def test_route_status_has_an_entry_for_each_parent_that_is_ours():
    parents = (ParentRef("x", "Y", "default", "z"), parent(port=9080))
    subject = replace(route("r", rule(), parents=parents), meta=meta("r", generation=7))
    reader = reader_of(subject, service(), gateway())
    status = route_status(subject, route_conditions(reader, MESH, subject), noon)
    (entry,) = status["parents"]
    assert entry["parentRef"] == {
        "group": "",
        "kind": "Service",
        "namespace": "default",
        "name": "reviews",
        "port": 9080,
    }
    assert entry["controllerName"] == "istio.io/gateway-controller"
    assert entry["conditions"][0] == {
        "type": "Accepted",
        "status": "True",
        "reason": "Accepted",
        "message": "Route was valid",
        "observedGeneration": 7,
        "lastTransitionTime": NOON,
    }


def waypoint_service(*ports: ServicePort):
    return service("waypoint", "default", *ports, labels={})


TUNNELS = ServicePort(15008, "mesh", target_port=15008)


@pytest.mark.parametrize(
    ("objects", "reason", "message"),
    [
        ((), "AddressNotUsable", 'hostname "waypoint.default.svc.cluster.local" not found'),
        (
            (waypoint_service(),),
            "AddressNotUsable",
            'port 15008 not found for hostname "waypoint.default.svc.cluster.local"',
        ),
        (
            (waypoint_service(TUNNELS),),
            "AddressNotAssigned",
            'no instances found for hostname "waypoint.default.svc.cluster.local"',
        ),
        (
            (waypoint_service(TUNNELS), pod("w", app="waypoint")),
            "Programmed",
            "Resource programmed, assigned to service(s) waypoint.default.svc.cluster.local:15008",
        ),
    ],
)
def test_a_gateway_is_programmed_when_it_can_be_reached(objects, reason, message):
    found = gateway_conditions(reader_of(gateway(), *objects), MESH, gateway())
    (one,) = [one for one in found if (one.scope, one.type) == ("", "Programmed")]
    assert (one.status, one.reason) == (reason == "Programmed", reason)
    assert one.message.endswith(message)


@pytest.mark.parametrize(
    "listeners",
    [
        (GatewayListener("mesh", 15008, "HTTP"),),
        (GatewayListener("mesh", 15009, "HBONE"),),
        (GatewayListener("mesh", 15008, "HBONE"), GatewayListener("more", 80, "HTTP")),
    ],
)
def test_wrong_listeners_are_refused_and_the_gateway_is_not(listeners):
    wrong = Gateway(meta("waypoint"), "istio-waypoint", listeners)
    found = gateway_conditions(reader_of(wrong), MESH, wrong)
    accepted = {one.scope: (one.status, one.reason) for one in found if one.type == "Accepted"}
    refused = (False, "UnsupportedProtocol")
    names = [f"listeners[{one.name}]" for one in listeners]
    assert accepted == {"": (True, "Accepted"), **dict.fromkeys(names, refused)}


def test_gateway_status():
    reader = reader_of(gateway(), waypoint_service(TUNNELS), pod("w", app="waypoint"))
    status = gateway_status(
        gateway(),
        gateway_conditions(reader, MESH, gateway()),
        gateway_addresses(reader, MESH, gateway()),
        noon,
    )
    assert status["addresses"] == [
        {"type": "IPAddress", "value": "10.96.0.1"},
        {"type": "Hostname", "value": "waypoint.default.svc.cluster.local"},
    ]
    assert [one["type"] for one in status["conditions"]] == ["Accepted", "Programmed"]
    (listener,) = status["listeners"]
    assert (listener["name"], listener["attachedRoutes"]) == ("mesh", 0)
    assert {one["type"]: one["status"] for one in listener["conditions"]} == {
        "Accepted": "True",
        "Conflicted": "False",
        "Programmed": "True",
        "ResolvedRefs": "True",
    }


def test_status_of_a_service_has_one_condition_of_each_type():
    origin = Origin("Service", "default", "reviews")
    whole = Condition(origin, "T", True, "R", "M")
    parts = [Condition(origin, "P", False, "R", f"M{one}", f"ports[{one}]") for one in range(2)]
    found = plain_status(service(), [whole, *parts], noon)["conditions"]
    assert [(one["type"], one["message"]) for one in found] == [("P", "M0; M1"), ("T", "M")]
    assert [one["status"] for one in found] == ["False", "True"]


def test_a_service_without_an_address_is_told_so():
    for lacks in ({"cluster_ips": ()}, {"cluster_ips": (), "headless": True}):
        subject = replace(service(), **lacks)
        found = service_conditions(reader_of(subject, gateway()), Mesh(), subject)
        assert [(one.type, one.status) for one in found] == [
            ("istio.io/WaypointBound", True),
            ("waypost.dev/AddressServed", False),
        ]
        assert "spec.clusterIP" in found[1].message


def test_nothing_is_said_of_a_class_that_is_not_ours():
    ours = GatewayClass(meta("istio-waypoint", ""), CONTROLLER)
    other = GatewayClass(meta("other", ""), "example.com/controller")
    reader = reader_of()
    assert object_status(reader, MESH, ours, (), noon) is not None
    assert object_status(reader, MESH, other, (), noon) is None


@pytest.mark.parametrize(
    ("kind", "status", "reason", "fine"),
    [
        ("Accepted", True, "Accepted", True),
        ("Accepted", False, "NoMatchingParent", False),
        ("Conflicted", False, "NoConflicts", True),
        ("PartiallyInvalid", True, "UnsupportedValue", False),
        ("WaypointAccepted", True, "UnsupportedValue", False),
        ("Programmed", False, "AddressNotUsable", True),
        ("Programmed", False, "Invalid", False),
    ],
)
def test_what_is_fine(kind, status, reason, fine):
    assert is_fine(Condition(Origin("Any", "", "x"), kind, status, reason, "")) is fine


def test_class_status_lists_the_features_in_order_and_once():
    status = gateway_class_status(GatewayClass(meta("istio-waypoint", ""), CONTROLLER), noon)
    names = [one["name"] for one in status["supportedFeatures"]]
    assert names == sorted(set(names))
    assert len(names) == len(SUPPORTED_FEATURES) <= 64  # bound of the API
    assert status["conditions"][0]["reason"] == "Accepted"
