"""HTTPRoute: every field, and how one bad rule stays one bad rule."""

from typing import Any

import pytest

from translators.resources import Parsed, parse
from translators.resources.httproute import (
    BackendRef,
    HeaderModifier,
    HttpBackend,
    HttpCors,
    HttpFilter,
    HttpMatch,
    HttpPathMatch,
    HttpRetry,
    HTTPRoute,
    HttpRule,
    HttpSessionPersistence,
    HttpValueMatch,
    ParentRef,
    PathModifier,
    RequestMirror,
    RequestRedirect,
    UrlRewrite,
)

GROUP = "gateway.networking.k8s.io"


def attempt(**spec: Any) -> Parsed:
    metadata = {"name": "r", "namespace": "n"}
    return parse(
        {"apiVersion": f"{GROUP}/v1", "kind": "HTTPRoute", "metadata": metadata, "spec": spec}
    )


def route_of(parsed: Parsed) -> HTTPRoute:
    assert isinstance(parsed.value, HTTPRoute)
    return parsed.value


def read_rule(**rule: Any) -> HttpRule:
    parsed = attempt(rules=[rule])
    assert parsed.problems == ()
    return route_of(parsed).rules[0]


def read_filter(kind: str, **parts: Any) -> HttpFilter:
    return read_rule(filters=[{"type": kind, **parts}]).filters[0]


def test_parents_have_the_namespace_of_the_route() -> None:
    parsed = attempt(
        parentRefs=[
            {"name": "gw"},
            {"group": "", "kind": "Service", "name": "s", "port": 80, "sectionName": "x"},
            {"group": "", "kind": "Service", "name": "s", "namespace": "other"},
        ],
        hostnames=["a.example"],
    )
    assert route_of(parsed).parents == (
        ParentRef(GROUP, "Gateway", "n", "gw"),
        ParentRef("", "Service", "n", "s", 80, "x"),
        ParentRef("", "Service", "other", "s"),
    )
    assert route_of(parsed).hostnames == ("a.example",)


def test_without_rules_or_matches_everything_matches() -> None:
    assert route_of(attempt()).rules == (HttpRule(),)
    assert route_of(attempt(rules=[])).rules == ()
    assert read_rule() == HttpRule()
    assert read_rule(matches=[]).matches == (HttpMatch(),)
    assert read_rule(matches=[{}]).matches == (HttpMatch(),)


def test_matches() -> None:
    rule = read_rule(
        matches=[
            {
                "path": {"type": "Exact", "value": "/a"},
                "method": "GET",
                "headers": [{"name": "h", "value": "v"}],
                "queryParams": [{"name": "q", "value": ".*", "type": "RegularExpression"}],
            },
            {"path": {"type": "Unheard", "value": "/b"}},
        ]
    )
    assert rule.matches == (
        HttpMatch(
            HttpPathMatch("Exact", "/a"),
            "GET",
            (HttpValueMatch("h", "v"),),
            (HttpValueMatch("q", ".*", "RegularExpression"),),
        ),
        HttpMatch(HttpPathMatch("Unheard", "/b")),
    )


def test_backends() -> None:
    header = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x"]}}
    rule = read_rule(
        backendRefs=[
            {"name": "a", "port": 80},
            {"name": "b", "namespace": "o", "weight": 0, "filters": [header]},
        ]
    )
    removes = HttpFilter("RequestHeaderModifier", header_modifier=HeaderModifier(remove=("x",)))
    assert rule.backends == (
        HttpBackend(BackendRef("", "Service", "n", "a", 80)),
        HttpBackend(BackendRef("", "Service", "o", "b"), 0, (removes,)),
    )


def test_header_filters() -> None:
    part = {"set": [{"name": "a", "value": "1"}], "add": [{"name": "b", "value": ""}]}
    changes = HeaderModifier(set=(("a", "1"),), add=(("b", ""),))
    for kind, name in (
        ("RequestHeaderModifier", "requestHeaderModifier"),
        ("ResponseHeaderModifier", "responseHeaderModifier"),
    ):
        assert read_filter(kind, **{name: part}) == HttpFilter(kind, header_modifier=changes)


def test_redirect_and_rewrite() -> None:
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/x"}
    found = read_filter("RequestRedirect", requestRedirect={"port": 8443, "path": path})
    assert found.redirect == RequestRedirect(
        path=PathModifier("ReplacePrefixMatch", "/x"), port=8443
    )
    full = {"type": "ReplaceFullPath", "replaceFullPath": "/y"}
    found = read_filter("URLRewrite", urlRewrite={"hostname": "h", "path": full})
    assert found.rewrite == UrlRewrite("h", PathModifier("ReplaceFullPath", "/y"))


def test_mirror() -> None:
    backend = {"name": "m", "port": 80}
    ref = BackendRef("", "Service", "n", "m", 80)
    for extra, expected in (
        ({}, RequestMirror(ref)),
        ({"percent": 0}, RequestMirror(ref, percent=0)),
        ({"fraction": {"numerator": 1}}, RequestMirror(ref, fraction=(1, 100))),
    ):
        found = read_filter("RequestMirror", requestMirror={"backendRef": backend, **extra})
        assert found.mirror == expected


def test_cors() -> None:
    part = {"allowOrigins": ["https://a.example"], "allowCredentials": True, "maxAge": 60}
    expected = HttpCors(("https://a.example",), allow_credentials=True, max_age=60)
    assert read_filter("CORS", cors=part).cors == expected


def test_a_filter_without_its_part_or_of_an_unknown_type_is_kept() -> None:
    assert read_filter("RequestRedirect") == HttpFilter("RequestRedirect")
    reference = {"group": "g", "kind": "K", "name": "x"}
    assert read_filter("ExtensionRef", extensionRef=reference).type == "ExtensionRef"
    assert read_filter("Unheard").type == "Unheard"


def test_timeouts_retry_and_persistence() -> None:
    rule = read_rule(
        name="r",
        timeouts={"request": "10s", "backendRequest": "1s"},
        retry={"codes": [500], "attempts": 3, "backoff": "100ms"},
        sessionPersistence={
            "type": "Cookie",
            "absoluteTimeout": "1h",
            "cookie": {"name": "c", "lifetimeType": "Permanent", "path": "/p"},
        },
    )
    assert (rule.name, rule.timeout_request, rule.timeout_backend) == ("r", "10s", "1s")
    assert rule.retry == HttpRetry((500,), 3, "100ms")
    assert rule.session_persistence == HttpSessionPersistence(
        "c", "Cookie", "1h", None, "Permanent", "/p"
    )


def test_the_older_names_of_session_persistence() -> None:
    rule = read_rule(
        sessionPersistence={"sessionName": "s", "cookieConfig": {"lifetimeType": "Permanent"}}
    )
    expected = HttpSessionPersistence("s", cookie_lifetime="Permanent")
    assert rule.session_persistence == expected


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ({"timeouts": 5}, "timeouts"),
        ({"timeouts": {"request": 5}}, "timeouts.request"),
        ({"filters": [{}]}, "filters[0].type"),
        ({"filters": {}}, "filters"),
        ({"backendRefs": [{"name": "b", "weight": -1}]}, "backendRefs[0].weight"),
        ({"backendRefs": [{"name": "b", "port": 65536}]}, "backendRefs[0].port"),
        ({"backendRefs": [{}]}, "backendRefs[0].name"),
        ({"retry": {"codes": ["500"]}}, "retry.codes[0]"),
        ({"name": "a\nb"}, "name"),
    ],
)
def test_a_bad_part_marks_its_rule_and_no_other(part: dict[str, object], path: str) -> None:
    parsed = attempt(rules=[{"name": "good"}, {"matches": [{"method": "GET"}], **part}])
    good, bad = route_of(parsed).rules
    assert good == HttpRule(name="good")
    assert [place for place, _ in bad.unreadable] == [path]
    assert bad.matches == (HttpMatch(method="GET"),)
    assert [problem.path for problem in parsed.problems] == [f"spec.rules[1].{path}"]


@pytest.mark.parametrize(
    "match",
    [
        5,
        {"method": 5},
        {"path": "/x"},
        {"path": {"value": "/" * 1025}},
        {"headers": [{"name": "h"}]},
        {"headers": [{"name": "h", "value": "\x00"}]},
        {"headers": [{"name": "h", "value": "\ud800"}]},
        {"headers": [{"name": "h", "value": "x" * 1025, "type": "RegularExpression"}]},
        {"headers": [{"name": "h", "value": "v"}] * 65},
    ],
)
def test_a_match_that_cannot_be_read_matches_nothing(match: object) -> None:
    rule = route_of(attempt(rules=[{"matches": [match, {"method": "PUT"}]}])).rules[0]
    assert rule.matches == (HttpMatch(method="PUT"),)
    assert rule.unreadable


def test_a_rule_that_is_no_object_matches_nothing() -> None:
    rule = route_of(attempt(rules=["text"])).rules[0]
    assert rule.matches == ()
    assert rule.unreadable == (("", "is a text, not an object"),)


@pytest.mark.parametrize(
    "spec",
    [
        {"rules": {}},
        {"rules": [{}] * 65},
        {"parentRefs": [{"kind": "Service"}]},
        {"hostnames": "a.example"},
        {"hostnames": [5]},
    ],
)
def test_anything_unreadable_outside_of_rules_breaks_the_route(spec: dict[str, object]) -> None:
    parsed = attempt(**spec)
    assert parsed.value is None
    assert parsed.key is not None
    assert parsed.problems


@pytest.mark.parametrize(("count", "readable"), [(64, True), (65, False), (640, False)])
def test_matches_are_read_up_to_their_limit(count: int, readable: bool) -> None:
    rule = route_of(attempt(rules=[{"matches": [{}] * count}])).rules[0]
    assert len(rule.matches) == (count if readable else 0)
    assert bool(rule.unreadable) != readable
