"""Whatever a route holds, it becomes something that can be encoded, and conditions."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.objects import gateway, reader_of, route, service
from translators.gateway_api import route_conditions, translate_service
from translators.gateway_api.durations import is_duration, milliseconds
from translators.ir import Mesh, WaypointName
from translators.resources.httproute import (
    BackendRef,
    HeaderModifier,
    HttpBackend,
    HttpCors,
    HttpFilter,
    HttpMatch,
    HttpPathMatch,
    HttpRetry,
    HttpRule,
    HttpSessionPersistence,
    HttpValueMatch,
    PathModifier,
    RequestMirror,
    RequestRedirect,
    UrlRewrite,
)
from translators.status import route_status
from translators.xds import resource

# Any text at all, and words that mean something, so that not everything is refused at once.
texts = st.text(st.characters(), max_size=8) | st.sampled_from(
    [
        "Exact",
        "PathPrefix",
        "RegularExpression",
        "/",
        "/a",
        "GET",
        "x-a",
        "a.b",
        "https",
        "1s",
        "ReplaceFullPath",
        "ReplacePrefixMatch",
        "Service",
        "Cookie",
        "Permanent",
        "*",
        "reviews",
    ]
)
kinds = texts | st.sampled_from(
    [
        "RequestHeaderModifier",
        "ResponseHeaderModifier",
        "RequestRedirect",
        "URLRewrite",
        "RequestMirror",
        "CORS",
    ]
)
numbers = st.integers(-2, 3) | st.sampled_from([302, 503, 9080, 2**31, 2**32, 2**63, -(2**63)])
maybe_text, maybe_number = st.none() | texts, st.none() | numbers


def few(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=2).map(tuple)


pairs = few(st.tuples(texts, texts))
value_matches = few(st.builds(HttpValueMatch, texts, texts, texts))
paths = st.builds(HttpPathMatch, texts, texts)
matches = few(st.builds(HttpMatch, paths, texts, value_matches, value_matches))
edits = st.none() | st.builds(PathModifier, texts, texts)
refs = st.builds(BackendRef, st.just(""), texts, st.just("default"), texts, maybe_number)
fractions = st.none() | st.tuples(numbers, numbers)
filters = few(
    st.builds(
        HttpFilter,
        kinds,
        st.none() | st.builds(HeaderModifier, pairs, pairs, few(texts)),
        st.none()
        | st.builds(RequestRedirect, maybe_text, maybe_text, edits, maybe_number, numbers),
        st.none() | st.builds(UrlRewrite, maybe_text, edits),
        st.none() | st.builds(RequestMirror, refs, maybe_number, fractions),
        st.none()
        | st.builds(
            HttpCors, few(texts), st.booleans(), few(texts), few(texts), few(texts), numbers
        ),
    )
)
rules = st.builds(
    HttpRule,
    matches=matches,
    name=texts,
    filters=filters,
    backends=few(st.builds(HttpBackend, refs, numbers, filters)),
    timeout_request=maybe_text,
    timeout_backend=maybe_text,
    retry=st.none() | st.builds(HttpRetry, few(numbers), maybe_number, maybe_text),
    session_persistence=st.none()
    | st.builds(
        HttpSessionPersistence, texts, texts, maybe_text, maybe_text, texts, cookie_path=texts
    ),
)


@given(few(rules))
def test_any_rules_become_a_table_that_can_be_encoded(given_rules):
    subject, owner = service(), route("r", *given_rules)
    reader = reader_of(gateway(), subject, owner)
    config = translate_service(reader, Mesh(), WaypointName("default", "waypoint"), subject)
    for node in (*config.tables, *config.clusters):
        assert resource(node).body
    conditions = route_conditions(reader, Mesh(), owner)
    assert json.dumps(route_status(owner, conditions, lambda _: "")).encode()


@given(few(rules))
def test_a_rule_works_as_a_whole_or_is_told_of(given_rules):
    """No requests are answered 500, and no match is dropped, without a condition that says so."""
    subject, owner = service(), route("r", *given_rules)
    reader = reader_of(gateway(), subject, owner)
    config = translate_service(reader, Mesh(), WaypointName("default", "waypoint"), subject)
    expected = sum(len(one.matches) for one in given_rules)
    conditions = {one.type: one.status for one in route_conditions(reader, Mesh(), owner)}
    if len(config.tables[0].routes) < expected:
        assert not conditions["Accepted"] or conditions["PartiallyInvalid"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0s", 0), ("1ms", 1), ("1s", 1_000), ("1h2m3s4ms", 3_723_004), ("99999h", 359_996_400_000)],
)
def test_durations(text, expected):
    assert milliseconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "1", "s", "1.5s", "-1s", "1d", "1s ", "1s1s1s1s1s", "100000s", "\u0661s", "1s\n"]
)
def test_what_is_no_duration(text):
    assert not is_duration(text)
    with pytest.raises(ValueError, match="duration"):
        milliseconds(text)
