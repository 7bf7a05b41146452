"""Who may refer to what, and whether it is there."""

from dataclasses import replace

import pytest

from tests.support.objects import backend, gateway, meta, parent, reader_of, route, rule, service
from translators.gateway_api import route_conditions, translate_service
from translators.gateway_api.issues import Issue
from translators.gateway_api.references import Referrer, Target, resolve_ref
from translators.ir import Mesh, WaypointName
from translators.ir.route import DirectResponse, Forward
from translators.resources.core import Service
from translators.resources.httproute import BackendRef
from translators.resources.referencegrant import GrantFrom, GrantTo, ReferenceGrant

STRICT = Mesh(requires_grants=True)
CLIENT = Referrer("HTTPRoute", "client")
REF = BackendRef("", "Service", "default", "reviews", 9080)
ALLOWS = ReferenceGrant(
    meta("allows"),
    (GrantFrom("gateway.networking.k8s.io", "HTTPRoute", "client"),),
    (GrantTo("", "Service"),),
)


def reason(found: Target | Issue) -> str | None:
    return found.reason if isinstance(found, Issue) else None


def test_mesh_routes_need_no_grant_unless_the_mesh_says_so():
    reader = reader_of(service())
    assert isinstance(resolve_ref(reader, Mesh(), CLIENT, REF), Target)
    assert reason(resolve_ref(reader, STRICT, CLIENT, REF)) == "RefNotPermitted"
    home = Referrer("HTTPRoute", "default")
    assert isinstance(resolve_ref(reader, STRICT, home, REF), Target)


@pytest.mark.parametrize(
    ("grant", "permitted"),
    [
        (ALLOWS, True),
        (replace(ALLOWS, targets=(GrantTo("core", "Service", "reviews"),)), True),
        (replace(ALLOWS, targets=(GrantTo("", "Service", "other"),)), False),
        (replace(ALLOWS, targets=(GrantTo("", "Secret"),)), False),
        (replace(ALLOWS, targets=(GrantTo("example.com", "Service"),)), False),
        (replace(ALLOWS, sources=(replace(ALLOWS.sources[0], namespace="other"),)), False),
        (replace(ALLOWS, sources=(replace(ALLOWS.sources[0], kind="TCPRoute"),)), False),
        (replace(ALLOWS, sources=(replace(ALLOWS.sources[0], group=""),)), False),
        (replace(ALLOWS, meta=meta("allows", "client")), False),
    ],
)
def test_a_grant_lies_with_the_target_and_names_both_sides(grant, permitted):
    found = resolve_ref(reader_of(service(), grant), STRICT, CLIENT, REF)
    assert reason(found) == (None if permitted else "RefNotPermitted")


def test_nobody_learns_what_exists_without_a_grant():
    reader = reader_of()
    assert reason(resolve_ref(reader, STRICT, CLIENT, REF)) == "RefNotPermitted"
    assert reason(resolve_ref(reader, Mesh(), CLIENT, REF)) == "BackendNotFound"


@pytest.mark.parametrize(
    ("ref", "why"),
    [
        (replace(REF, kind="Bucket"), "InvalidKind"),
        (replace(REF, group="example.com"), "InvalidKind"),
        (replace(REF, port=None), "InvalidDestination"),
        (replace(REF, port=1), "BackendNotFound"),
        (replace(REF, name="gone"), "BackendNotFound"),
        (replace(REF, name="external"), "InvalidKind"),
    ],
)
def test_what_can_not_be_had(ref, why):
    external = Service(meta("external"), external_name="example.com")
    assert reason(resolve_ref(reader_of(service(), external), Mesh(), CLIENT, ref)) == why


def test_a_route_without_a_grant_fails_and_says_so():
    elsewhere = service("v2", "other", labels={})
    subject = route("r", rule(backends=(backend("v2", "other"),)), parents=(parent(),))
    objects = (service(), gateway(), elsewhere, subject)

    def action(mesh, *grants):
        reader = reader_of(*objects, *grants)
        config = translate_service(reader, mesh, WaypointName("default", "waypoint"), service())
        return config.tables[0].routes[0].action, {one.name for one in config.clusters}

    outbound = "outbound|9080||v2.other.svc.cluster.local"
    assert isinstance(action(Mesh())[0], Forward)
    assert action(STRICT)[0] == DirectResponse(500)
    assert outbound not in action(STRICT)[1]
    source = GrantFrom("gateway.networking.k8s.io", "HTTPRoute", "default")
    grant = ReferenceGrant(meta("allows", "other"), (source,), (GrantTo("", "Service"),))
    assert outbound in action(STRICT, grant)[1]
    found = {one.type: one for one in route_conditions(reader_of(*objects), STRICT, subject)}
    assert found["ResolvedRefs"].reason == "RefNotPermitted"
    assert "missing a ReferenceGrant?" in found["ResolvedRefs"].message
