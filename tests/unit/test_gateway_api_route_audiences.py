"""Which HTTPRoutes of which namespaces a request to a port meets, and in which order."""

from tests.support.objects import gateway, parent, path, reader_of, route, rule, service
from translators.gateway_api import translate_service
from translators.ir import Mesh, WaypointName
from translators.ir.route import DirectResponse, Route
from translators.resources.core import ServicePort

WAYPOINT = WaypointName("default", "waypoint")


def routes_of(*objects) -> tuple[Route, ...]:
    subject = service()
    reader = reader_of(gateway(), subject, *objects)
    return translate_service(reader, Mesh(), WAYPOINT, subject).tables[0].routes


def test_routes_of_one_port_leave_the_others_alone():
    ports = (ServicePort(80, "http"), ServicePort(81, "http"), ServicePort(82, "http"))
    subject = service("reviews", "default", *ports)
    parents = (parent(port=80), parent(port=82), parent("other"))
    objects = (gateway(), subject, route("r", rule(backends=()), parents=parents))
    config = translate_service(reader_of(*objects), Mesh(), WAYPOINT, subject)
    names = [[one.name for one in table.routes] for table in config.tables]
    assert names == [["default.r.0"], ["default"], ["default.r.0"]]


def test_consumer_routes_replace_the_producer_s_for_their_own_namespace():
    found = routes_of(
        route("mine", rule(path("/a"))),
        route("theirs", rule(path("/b")), namespace="zoo"),
        route("theirs", rule(path("/c")), namespace="bank"),
    )
    assert [(one.name, one.match.peer_namespaces, one.match.path.value) for one in found] == [
        ("bank.theirs.0", ("bank",), "/c"),
        ("bank.unmatched", ("bank",), "/"),
        ("zoo.theirs.0", ("zoo",), "/b"),
        ("zoo.unmatched", ("zoo",), "/"),
        ("default.mine.0", (), "/a"),
    ]
    assert found[1].action == DirectResponse(404)


def test_without_producer_routes_all_others_get_the_default():
    found = routes_of(route("theirs", rule(), namespace="zoo"))
    assert [one.name for one in found] == ["zoo.theirs.0", "zoo.unmatched", "default"]
