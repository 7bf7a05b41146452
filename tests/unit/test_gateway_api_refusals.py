"""What is said of objects whose configuration Envoy refused."""

from tests.support.objects import gateway, namespace, parent, pod, reader_of, route, service
from translators.compiler import Compiler
from translators.gateway_api import Refusal, refusal_conditions
from translators.ir.origin import Origin
from translators.ir.waypoint import Mesh, WaypointName
from translators.world import Change

WAYPOINT = WaypointName("default", "waypoint")
SERVICE = Origin("Service", "default", "reviews")
ROUTE = Origin("HTTPRoute", "default", "r", "spec")
OBJECTS = (
    namespace(),
    gateway(),
    service(),
    route("r", parents=(parent("elsewhere"), parent())),
)


def told(*origins: Origin) -> set[tuple[str, str, str, str]]:
    refusal = Refusal(WAYPOINT, "table", "bad regex", origins)
    found = refusal_conditions(reader_of(*OBJECTS), [refusal])
    assert {(one.status, one.reason) for one in found} == {(False, "RejectedByProxy")}
    assert all("bad regex" in one.message for one in found)
    return {(one.origin.kind, one.origin.name, one.type, one.scope) for one in found}


def test_a_route_is_told_at_the_parents_that_the_waypoint_serves():
    assert told(SERVICE, ROUTE) == {("HTTPRoute", "r", "Programmed", "parentRefs[1]")}


def test_a_service_is_told_if_nothing_else_was_put_in():
    assert told(SERVICE) == {("Service", "reviews", "waypost.dev/Programmed", "")}


def test_the_gateway_is_told_if_no_object_is_to_blame():
    gone = Origin("HTTPRoute", "default", "gone")
    assert told() == told(gone) == {("Gateway", "waypoint", "Programmed", "")}


def test_a_refusal_takes_the_place_of_what_was_said_and_gives_it_back():
    compiler = Compiler(Mesh())
    compiler.apply(Change(one.key, one) for one in OBJECTS)

    def programmed(*refusals: Refusal) -> list[tuple[str, str]]:
        statuses = compiler.statuses(lambda _: "", refusals)
        [found] = [each for each in statuses if each.subject.kind == "Gateway"]
        return [
            (one["status"], one["reason"])
            for one in found.status["conditions"]
            if one["type"] == "Programmed"
        ]

    before = programmed()
    assert programmed(Refusal(WAYPOINT, "x", "no", ())) == [("False", "RejectedByProxy")]
    assert programmed() == before == [("False", "AddressNotUsable")]


def test_endpoints_that_change_no_word_leave_the_revision_alone():
    compiler = Compiler(Mesh())
    compiler.apply(Change(one.key, one) for one in OBJECTS)
    list(compiler.statuses(lambda _: ""))
    before = compiler.revision
    compiler.apply([Change(pod("p").key, pod("p"))])
    assert compiler.revision == before
    compiler.apply([Change(service().key, None)])
    assert compiler.revision == before + 1
