"""What a GRPCRoute makes of calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.objects import (
    backend,
    gateway,
    meta,
    parent,
    path,
    reader_of,
    route,
    rule,
    service,
)
from tests.unit.test_gateway_api_robustness import few, filters, refs, texts, value_matches
from translators.gateway_api import route_conditions, translate_service
from translators.gateway_api.texts import pattern_error
from translators.ir import Mesh, WaypointName
from translators.ir.route import (
    DirectResponse,
    Forward,
    PathKind,
    PathMatch,
    Route,
    RouteMatch,
    ValueMatch,
)
from translators.resources.grpcroute import GrpcMatch, GrpcMethodMatch, GRPCRoute, GrpcRule
from translators.resources.httproute import HttpBackend, HttpFilter, HttpValueMatch, UrlRewrite
from translators.xds import resource

FAILS = DirectResponse(503)


def calls(name: str, *rules: GrpcRule, **given: str) -> GRPCRoute:
    return GRPCRoute(meta(name, **given), parents=(parent(),), rules=rules)


def method(
    service: str = "", name: str = "", kind: str = "Exact", headers: tuple[str, ...] = ()
) -> GrpcMatch:
    matches = tuple(HttpValueMatch(header, "1") for header in headers)
    return GrpcMatch(GrpcMethodMatch(kind, service, name), matches)


def grpc_rule(*matches: GrpcMatch, **given) -> GrpcRule:
    given.setdefault("backends", (backend(),))
    return GrpcRule(matches or (GrpcMatch(),), **given)


def routes_of(*attached) -> tuple[Route, ...]:
    reader = reader_of(gateway(), service(), *attached)
    waypoint = WaypointName("default", "waypoint")
    return translate_service(reader, Mesh(), waypoint, service()).tables[0].routes


def only(rule: GrpcRule) -> Route:
    (found,) = routes_of(calls("r", rule))
    return found


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (GrpcMatch(), PathMatch(PathKind.PREFIX, "/")),
        (method("a.B", "C"), PathMatch(PathKind.EXACT, "/a.B/C")),
        (method("a.B"), PathMatch(PathKind.PREFIX, "/a.B")),
        (method(name="C"), PathMatch(PathKind.REGEX, "/[^/]+/(?:C)")),
        (
            method("a|b", "c|d", "RegularExpression"),
            PathMatch(PathKind.REGEX, "/(?:a|b)/(?:c|d)"),
        ),
        (method("a.*", kind="RegularExpression"), PathMatch(PathKind.REGEX, "/(?:a.*)/[^/]+")),
    ],
)
def test_a_method_is_a_path(match, expected):
    found = only(grpc_rule(match)).match
    assert found == RouteMatch(expected, grpc=True)


def test_headers_are_matched_as_those_of_requests():
    match = GrpcMatch(headers=(HttpValueMatch("X-A", "1"), HttpValueMatch("x-a", "2")))
    assert only(grpc_rule(match)).match.headers == (ValueMatch("x-a", "1"),)


@pytest.mark.parametrize(
    "match",
    [
        method("a/b"),
        method("a", "b/c"),
        method("", "b c"),
        method("(", kind="RegularExpression"),
        method("a)|(b", kind="RegularExpression"),
        method("a", "[", kind="RegularExpression"),
        method("a" * 501, kind="RegularExpression"),
        method("a", kind="Prefix"),
        GrpcMatch(headers=(HttpValueMatch("a b", "1"),)),
    ],
)
def test_a_match_that_can_not_be_expressed_is_left_out_alone(match):
    found = routes_of(calls("r", grpc_rule(match, method("fine.One"))))
    assert [one.match.path.value for one in found] == ["/fine.One"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (method("a.B", "C"), method("a.B", headers=("x", "y"))),
        (method("a.Longer"), method("a.B", headers=("x",))),
        (method("a.B"), method(name="C", headers=("x",))),
        (method(name="C"), method(headers=("x", "y"))),
        (method(headers=("x", "y")), method(headers=("x",))),
        (method("a.B", "C", headers=("x",)), method("a.B", "C")),
        (method("a.Longer.*", kind="RegularExpression"), method("a.B")),
        (method(name="Get|List", kind="RegularExpression"), GrpcMatch()),
    ],
)
def test_the_more_specific_match_is_tried_first(first, second):
    named = [grpc_rule(first, name="first"), grpc_rule(second, name="second")]
    for order in (named, named[::-1]):
        assert [one.name for one in routes_of(calls("r", *order))] == ["first", "second"]


def test_both_kinds_of_routes_are_tried_in_one_order():
    found = routes_of(
        calls("calls", grpc_rule(method("a.B", "C")), grpc_rule(), created="2025-01-01T00:00:00Z"),
        route("pages", rule(path("/a.B")), rule(), created="2024-01-01T00:00:00Z"),
    )
    assert [(one.match.path.value, one.match.grpc) for one in found] == [
        ("/a.B/C", True),
        ("/a.B", False),
        ("/", True),
        ("/", False),
    ]


@pytest.mark.parametrize(
    "broken",
    [
        grpc_rule(backends=()),
        grpc_rule(backends=(backend("gone"),)),
        grpc_rule(backends=(backend(weight=0),)),
        grpc_rule(backends=(backend(weight=-1),)),
        grpc_rule(filters=(HttpFilter("ExtensionRef"),)),
        grpc_rule(filters=(HttpFilter("URLRewrite", rewrite=UrlRewrite("a.b")),)),
        grpc_rule(unreadable=(("filters", "is no list"),)),
    ],
)
def test_what_can_not_be_done_is_unavailable(broken):
    assert only(broken).action == FAILS


def test_an_invalid_backend_is_unavailable_for_its_share():
    action = only(grpc_rule(backends=(backend(), backend("gone")))).action
    assert isinstance(action, Forward)
    assert action.invalid_status == 503
    assert [one.cluster is None for one in action.backends] == [False, True]


def test_filters_of_httproutes_are_told_of():
    subject = calls("r", grpc_rule(filters=(HttpFilter("URLRewrite", rewrite=UrlRewrite("a.b")),)))
    reader = reader_of(service(), gateway(), subject)
    found = {one.type: one for one in route_conditions(reader, Mesh(), subject)}
    assert not found["Accepted"].status
    assert found["Accepted"].origin.path == "spec.rules[0].filters[0].type"


methods = st.builds(GrpcMethodMatch, texts, texts, texts)
grpc_rules = st.builds(
    GrpcRule,
    matches=few(st.builds(GrpcMatch, methods, value_matches)),
    name=texts,
    filters=filters,
    backends=few(st.builds(HttpBackend, refs, st.integers(-2, 3), filters)),
)


@given(few(grpc_rules))
def test_any_rules_become_a_table_that_can_be_encoded(given_rules):
    subject = calls("r", *given_rules)
    reader = reader_of(gateway(), service(), subject)
    waypoint = WaypointName("default", "waypoint")
    config = translate_service(reader, Mesh(), waypoint, service())
    for node in (*config.tables, *config.clusters):
        assert resource(node).body
    for one in config.tables[0].routes:
        if one.match.path.kind is PathKind.REGEX:
            assert pattern_error(one.match.path.value) is None
    expected = sum(len(one.matches) for one in given_rules)
    conditions = {one.type: one.status for one in route_conditions(reader, Mesh(), subject)}
    if len(config.tables[0].routes) < expected:
        assert not conditions["Accepted"] or conditions["PartiallyInvalid"]
