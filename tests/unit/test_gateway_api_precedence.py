"""Which of several matching rules gets a request."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.objects import gateway, path, reader_of, route, rule, service
from translators.gateway_api import translate_service
from translators.ir import Mesh, WaypointName
from translators.ir.route import PathKind, Route
from translators.resources.httproute import HttpMatch, HTTPRoute, HttpValueMatch

HEADERS = ("a", "b", "c")


def routes_of(*attached: HTTPRoute) -> tuple[Route, ...]:
    subject = service()
    reader = reader_of(gateway(), subject, *attached)
    config = translate_service(reader, Mesh(), WaypointName("default", "waypoint"), subject)
    return config.tables[0].routes


def headers(*names: str) -> tuple[HttpValueMatch, ...]:
    return tuple(HttpValueMatch(name, "1") for name in names)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (path("/a", "Exact"), path("/a/long/prefix")),
        (path("/a/b"), path("/a", method="GET", headers=headers("a", "b"))),
        (path("/a"), path("/a/long.*", "RegularExpression")),
        (path("/a", method="GET"), path("/a", headers=headers("a", "b"))),
        (path("/a", headers=headers("a", "b")), path("/a", headers=headers("a"))),
        (path("/a", headers=headers("a")), path("/a", query=headers("a", "b"))),
        (path("/a", query=headers("a", "b")), path("/a", query=headers("a"))),
        # Of header matches with the same name only the first counts.
        (path("/a", headers=headers("a", "b")), path("/a", headers=headers("c", "c", "C"))),
        (path("/abc.*", "RegularExpression"), path("/a.*", "RegularExpression")),
    ],
)
def test_the_more_specific_match_wins_wherever_it_is_written(first, second):
    named = [rule(first, name="first"), rule(second, name="second")]
    for order in (named, named[::-1]):
        one_route = route("r", *order)
        two_routes = [route(f"r{index}", one) for index, one in enumerate(order)]
        for found in (routes_of(one_route), routes_of(*two_routes)):
            assert [one.name for one in found] == ["first", "second"]


def test_ties_go_to_the_oldest_route_then_by_name_then_by_place():
    old, new = "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"
    found = routes_of(
        route("a", rule(), created=new),
        route("d", rule(), rule(), created=old),
        route("c", rule(), created=old),
        route("b", rule()),
    )
    assert [one.name for one in found] == [
        "default.c.0",
        "default.d.0",
        "default.d.1",
        "default.a.0",
        "default.b.0",
    ]


# The specification, read plainly: of all matches that a request meets, keep those that are best
# by one criterion after the other.
Request = tuple[str, str, frozenset[str], frozenset[str]]
Candidate = tuple[str, int, int, HttpMatch]


def meets(request: Request, match: HttpMatch) -> bool:
    url, method, sent, query = request
    value = match.path.value
    under = value == "/" or url == value or url.startswith(value + "/")
    return (
        (under if match.path.type == "PathPrefix" else url == value)
        and match.method in ("", method)
        and all(one.name in sent for one in match.headers)
        and all(one.name in query for one in match.query)
    )


CRITERIA: list[Callable[[HttpMatch], int]] = [
    lambda match: match.path.type == "Exact",
    lambda match: len(match.path.value),
    lambda match: bool(match.method),
    lambda match: len(match.headers),
    lambda match: len(match.query),
]


def winner(request: Request, routes: list[HTTPRoute]) -> str:
    left: list[Candidate] = [
        (one.meta.name, i, j, match)
        for one in sorted(routes, key=lambda one: (one.meta.created, one.meta.name))
        for i, its_rule in enumerate(one.rules)
        for j, match in enumerate(its_rule.matches)
        if meets(request, match)
    ]
    for criterion in CRITERIA:
        best = max((criterion(match) for *_, match in left), default=0)
        left = [one for one in left if criterion(one[-1]) == best]
    return f"default.{left[0][0]}.{left[0][1]}" if left else "404"


def chosen(request: Request, routes: tuple[Route, ...]) -> str:
    return next(_matching(request, routes), "404")


def _matching(request: Request, routes: tuple[Route, ...]) -> Iterator[str]:
    url, method, sent, query = request
    for one in routes:
        match, value = one.match, one.match.path.value
        under = value == "/" or url == value or url.startswith(value + "/")
        if (
            (under if match.path.kind is PathKind.PREFIX else url == value)
            and match.method in ("", method)
            and {header.name for header in match.headers} <= sent
            and {parameter.name for parameter in match.query} <= query
        ):
            yield one.name


urls = st.sampled_from(["/", "/a", "/a/b", "/a/b/c", "/b"])
methods = st.sampled_from(["", "GET", "POST"])
names = st.frozensets(st.sampled_from(HEADERS))
matches = st.builds(
    lambda url, kind, method, sent, query: path(
        url, kind, method=method, headers=headers(*sorted(sent)), query=headers(*sorted(query))
    ),
    urls,
    st.sampled_from(["Exact", "PathPrefix"]),
    methods,
    names,
    names,
)
rules = st.lists(matches, min_size=1, max_size=3).map(lambda given: rule(*given))
route_bodies = st.lists(
    st.tuples(
        st.lists(rules, min_size=1, max_size=3),
        st.sampled_from(["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"]),
    ),
    min_size=1,
    max_size=4,
)


@given(route_bodies, urls, st.sampled_from(["GET", "POST", "PUT"]), names, names)
def test_every_request_goes_where_the_specification_says(bodies, url, method, sent, query):
    routes = [
        route(f"r{index}", *its_rules, created=created)
        for index, (its_rules, created) in enumerate(bodies)
    ]
    request = (url, method, sent, query)
    assert chosen(request, routes_of(*routes)) == winner(request, routes)
