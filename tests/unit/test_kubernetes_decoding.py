"""The wire format of lists and watches, and how often a server is asked again."""

import json
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from translators.resources import known_versions
from xds_server.sources.kubernetes.backoff import Pace, delay
from xds_server.sources.kubernetes.decoding import (
    LINE_BYTES,
    Lines,
    Unreadable,
    read_bookmark,
    read_event,
    read_page,
    read_status,
)
from xds_server.sources.kubernetes.kinds import RESOURCES, Resource
from xds_server.sources.kubernetes.questions import query_of
from xds_server.sources.kubernetes.reflector import PagedList, StreamedList, Watch

PODS = next(resource for resource in RESOURCES if resource.name == "pods")
ROUTES = Resource("gateway.networking.k8s.io", "HTTPRoute", "httproutes", ("v1", "v1beta1"))


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


@settings(deadline=None)
@given(st.lists(st.binary().map(lambda line: line.replace(b"\n", b"")).filter(bool)), st.data())
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream, cutter, found = b"".join(line + b"\n" for line in lines), Lines(), list[bytes]()
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += cutter.feed(stream[:size])
        stream = stream[size:]
    assert found == lines


def test_a_line_without_an_end_is_given_up() -> None:
    lines = Lines()
    assert list(lines.feed(b"x" * LINE_BYTES)) == []
    with pytest.raises(Unreadable):
        lines.feed(b"x")


@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b'{"items":[]}', b'{"metadata":1}'])
def test_a_page_that_is_none_can_not_be_read(data: bytes) -> None:
    with pytest.raises(Unreadable):
        read_page(data)


def test_a_page_without_items_is_empty() -> None:
    page = read_page(b'{"metadata":{"resourceVersion":"5"},"items":null}')
    assert (page.metadata.resource_version, page.metadata.token, page.items) == ("5", "", None)


def test_an_event_keeps_its_object_as_it_came() -> None:
    event = read_event(b'{"type":"ADDED","object":{"a": 1}}')
    assert (event.type, bytes(event.object)) == ("ADDED", b'{"a": 1}')


@pytest.mark.parametrize(
    ("annotations", "ends"),
    [
        (None, False),
        ({}, False),
        ({"k8s.io/initial-events-end": "true"}, True),
        ({"k8s.io/initial-events-end": "false"}, False),
    ],
)
def test_a_bookmark_tells_whether_the_list_is_complete(
    annotations: dict[str, str] | None, ends: bool
) -> None:
    metadata = {"resourceVersion": "5", "annotations": annotations}
    assert read_bookmark(raw({"metadata": metadata})).ends_list is ends


def test_a_status_tells_how_long_to_wait_and_whether_the_revision_is_too_new() -> None:
    status = read_status(raw({"code": 429, "details": {"retryAfterSeconds": 7}}))
    assert (status.retry_after, status.is_from_the_future) == (7, False)
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    assert read_status(raw({"code": 504, "details": {"causes": causes}})).is_from_the_future


@pytest.mark.parametrize("body", [b"", b"bad gateway", b"[]", b'{"code":"x"}'])
def test_what_is_no_status_says_nothing(body: bytes) -> None:
    assert read_status(body).code == 0


def test_waits_double_up_to_a_limit_and_are_spread() -> None:
    assert [delay(failures, 0) for failures in (1, 2, 3, 7, 1000)] == [0.5, 1, 2, 30, 30]
    assert delay(3, 0.5) == 1.5
    assert delay(3, 1) == 1


def test_what_the_server_asks_for_is_the_least_but_not_for_ever() -> None:
    assert delay(1, 0, retry_after=7) == 7
    assert delay(7, 0, retry_after=7) == 30
    assert delay(1, 0, retry_after=1e9) == 300


@settings(deadline=None)
@given(st.lists(st.floats(0, 2), min_size=1))
def test_repeated_requests_keep_their_distance(pauses: list[float]) -> None:
    pace, now, starts = Pace(0.25), 0.0, list[float]()
    for pause in pauses:
        now += pause
        starts.append(now + pace.reserve(now))
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert all(gap >= 0.25 - 1e-6 for gap in gaps)


def test_every_kind_that_can_be_read_is_followed() -> None:
    assert {(each.group, each.kind): each.versions for each in RESOURCES} == known_versions()


def test_paths_and_names_are_those_of_the_api() -> None:
    assert PODS.path("v1") == "/api/v1/pods"
    assert PODS.api_version("v1") == "v1"
    assert ROUTES.path("v1") == "/apis/gateway.networking.k8s.io/v1/httproutes"
    assert ROUTES.api_version("v1beta1") == "gateway.networking.k8s.io/v1beta1"
    assert ROUTES.name == "httproutes.gateway.networking.k8s.io"


def test_a_list_is_asked_for_in_pages() -> None:
    assert query_of(ROUTES, PagedList("v1"), 0) == {"limit": "250"}
    assert query_of(ROUTES, PagedList("v1", "x", 250), 0) == {"limit": "250", "continue": "x"}
    assert query_of(ROUTES, PagedList("v1", limit=0), 0) == {}


def test_watches_ask_for_bookmarks_and_an_end() -> None:
    watch = {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": "300"}
    assert query_of(ROUTES, Watch("v1", "7"), 300) == watch | {"resourceVersion": "7"}
    start = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    assert query_of(ROUTES, StreamedList("v1"), 300) == watch | start


def test_pods_that_have_ended_are_not_asked_for() -> None:
    selected = query_of(PODS, PagedList("v1"), 0)["fieldSelector"]
    assert selected == "status.phase!=Failed,status.phase!=Succeeded"


def test_moments_that_were_taken_for_a_server_that_is_back_are_free_again() -> None:
    pace = Pace(0.5)
    assert [pace.reserve(10.0) for _ in range(3)] == [0.0, 0.5, 1.0]
    pace.clear()
    assert pace.reserve(10.0) == 0.0
