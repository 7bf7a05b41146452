"""Route tables: matches, actions, and where policy stands."""

from dataclasses import replace
from typing import Any

import pytest
import re2

from translators.ir import Origin
from translators.ir.authorization import Authorization
from translators.ir.route import (
    Cors,
    DirectResponse,
    Forward,
    FullPath,
    HeaderEdit,
    Mirror,
    PathEdit,
    PathKind,
    PathMatch,
    Persistence,
    PrefixPath,
    Redirect,
    Retry,
    Route,
    RouteAction,
    RouteMatch,
    RouteTable,
    ValueMatch,
    WeightedBackend,
)
from translators.wire import ResourceKey, TypeUrl, encode
from translators.xds import render, resource
from translators.xds.filters.menu import Filter

A, B = WeightedBackend("a"), WeightedBackend("b")
TO_A, ALL = Forward((A,)), RouteMatch()


def table(*routes: Route, authorization: Authorization | None = None) -> RouteTable:
    return RouteTable("t", "a.shop", 80, routes, authorization or Authorization())


def route(action: RouteAction = TO_A, match: RouteMatch = ALL, **more: Any) -> Route:
    return Route("r", match, action, **more)


def virtual_host(node: RouteTable) -> dict[str, Any]:
    (host,) = render(node).to_dict()["virtualHosts"]
    return dict(host)


def first(node: Route) -> dict[str, Any]:
    return dict(virtual_host(table(node))["routes"][0])


def action_of(action: RouteAction) -> dict[str, Any]:
    rendered = first(route(action))
    return dict(rendered.get("route") or rendered.get("redirect") or rendered["directResponse"])


# --- policy


def test_policy_stands_on_the_virtual_host_and_on_no_route():
    cors = Cors(("*",))
    node = table(route(cors=cors), authorization=Authorization(allow=()))
    host = virtual_host(node)
    settings = host["typedPerFilterConfig"]
    assert list(settings) == [Filter.CORS, Filter.ALLOW]
    assert settings[Filter.CORS]["config"] == {"@type": ""}  # the host has it met, the route armed
    armed = [list(each.get("typedPerFilterConfig", ())) for each in host["routes"]]
    assert armed == [[], [], [Filter.CORS]]


def test_ambiguous_requests_are_refused_before_any_route_of_a_guarded_host():
    guarded = virtual_host(table(route(), authorization=Authorization(allow=())))
    refused = [each["directResponse"]["status"] for each in guarded["routes"][:2]]
    assert refused == [400, 400]
    assert len(virtual_host(table(route()))["routes"]) == len(guarded["routes"]) - 2


def test_what_no_route_matches_is_a_route_too_so_that_policy_guards_it():
    narrow = route(match=RouteMatch(method="GET"))
    last = virtual_host(table(narrow))["routes"][-1]
    assert last["match"] == {"prefix": "/"}
    assert last["directResponse"] == {"status": 404}
    assert virtual_host(table())["routes"][-1]["directResponse"] == {"status": 404}


def test_nothing_follows_a_route_that_takes_all():
    routes = virtual_host(table(route(), route(DirectResponse(200))))["routes"]
    assert [list(each) for each in routes] == [["name", "match", "route", "decorator"]]


def test_the_note_of_the_clients_address_does_not_leave_the_proxy():
    assert virtual_host(table())["requestHeadersToRemove"] == ["x-waypost-source"]


# --- matches


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (PathKind.EXACT, "/a", {"path": "/a"}),
        (PathKind.PREFIX, "/", {"prefix": "/"}),
        (PathKind.PREFIX, "", {"prefix": "/"}),
        (PathKind.PREFIX, "/a", {"pathSeparatedPrefix": "/a"}),
        (PathKind.PREFIX, "/a/", {"pathSeparatedPrefix": "/a"}),
        (PathKind.PREFIX, "/a?b", {"safeRegex": {"regex": r"\/a\?b(/.*)?"}}),
        (PathKind.REGEX, "/a.*", {"safeRegex": {"regex": "/a.*"}}),
    ],
)
def test_paths(kind: PathKind, value: str, expected: dict[str, Any]):
    assert first(route(match=RouteMatch(PathMatch(kind, value))))["match"] == expected


def test_method_headers_query_and_grpc_are_all_asked():
    match = first(
        route(
            match=RouteMatch(
                method="GET",
                headers=(ValueMatch("x-a", "1"), ValueMatch("host", "b.*", regex=True)),
                query=(ValueMatch("q", "v"),),
                grpc=True,
            )
        )
    )["match"]
    assert match["headers"] == [
        {"name": "x-a", "stringMatch": {"exact": "1"}},
        {"name": ":authority", "stringMatch": {"safeRegex": {"regex": "b.*"}}},
        {"name": ":method", "stringMatch": {"exact": "GET"}},
    ]
    assert match["queryParameters"] == [{"name": "q", "stringMatch": {"exact": "v"}}]
    assert match["grpc"] == {}


def test_peer_namespaces_are_asked_of_the_identity():
    match = first(route(match=RouteMatch(peer_namespaces=("a.b", "c"))))["match"]
    (state,) = match["filterState"]
    assert state["key"] == "io.istio.peer_principal"
    pattern = re2.compile(state["stringMatch"]["safeRegex"]["regex"])
    assert pattern.fullmatch("spiffe://td/ns/c/sa/x")
    assert pattern.fullmatch("spiffe://td/ns/a.b/sa/x")
    assert not pattern.fullmatch("spiffe://td/ns/aXb/sa/x")
    assert not pattern.fullmatch("spiffe://td/ns/cc/sa/x")


# --- forwarding


def test_a_single_backend_is_a_plain_cluster_without_a_deadline():
    assert action_of(Forward((A,))) == {"cluster": "a", "timeout": "0s"}


def test_weights_with_a_missing_backend_answer_500_for_its_share():
    action = action_of(Forward((replace(A, weight=3), WeightedBackend(None, 1))))
    assert action["weightedClusters"]["clusters"] == [
        {"name": "a", "weight": 3},
        {"name": "UnknownService", "weight": 1},
    ]
    assert action["clusterNotFoundResponseCode"] == "INTERNAL_SERVER_ERROR"


def test_a_known_cluster_that_is_not_there_yet_is_503():
    assert "clusterNotFoundResponseCode" not in action_of(Forward((A, B)))


def test_backends_of_weight_zero_get_nothing():
    assert action_of(Forward((replace(A, weight=0), B)))["cluster"] == "b"


@pytest.mark.parametrize(
    "backends",
    [
        (),
        (WeightedBackend(None),),
        (replace(A, weight=0),),
        (replace(A, weight=0), WeightedBackend(None)),
    ],
)
def test_no_usable_backend_is_500(backends: tuple[WeightedBackend, ...]):
    assert action_of(Forward(backends)) == {"status": 500}


def test_header_edits_of_a_backend_and_of_the_route():
    edit = HeaderEdit(
        set=(("x-s", "1"),), add=(("x-a", "50%"), ("Host", "evil")), remove=("x-r", ":path")
    )
    rendered = first(route(Forward((replace(A, response_headers=edit),)), request_headers=edit))
    (cluster,) = rendered["route"]["weightedClusters"]["clusters"]
    for owner, side in ((rendered, "request"), (cluster, "response")):
        added = owner[f"{side}HeadersToAdd"]
        assert [each["header"] for each in added] == [
            {"key": "x-s", "value": "1"},
            {"key": "x-a", "value": "50%%"},
        ]
        assert [each.get("appendAction") for each in added] == ["OVERWRITE_IF_EXISTS_OR_ADD", None]
        assert owner[f"{side}HeadersToRemove"] == ["x-r"]


def test_timeouts_and_retries():
    retry = Retry(3, ("reset",), codes=(503,), methods=("GET",), backoff_ms=0)
    action = action_of(Forward((A,), timeout_ms=1500, attempt_timeout_ms=250, retry=retry))
    assert action["timeout"] == "1.500s"
    policy = action["retryPolicy"]
    assert policy["retryOn"] == "reset,retriable-status-codes"
    assert policy["numRetries"] == 3
    assert policy["perTryTimeout"] == "0.250s"
    assert policy["retriableStatusCodes"] == [503]
    assert policy["retriableRequestHeaders"] == [
        {"name": ":method", "stringMatch": {"exact": "GET"}}
    ]
    assert policy["retryBackOff"] == {"baseInterval": "0.001s"}


def test_a_bound_on_one_attempt_repeats_nothing():
    policy = action_of(Forward((A,), attempt_timeout_ms=250))["retryPolicy"]
    assert policy == {"numRetries": 0, "perTryTimeout": "0.250s"}


def test_mirrors_take_their_share():
    (mirror,) = action_of(Forward((A,), mirrors=(Mirror("m", 1, 3),)))["requestMirrorPolicies"]
    share = mirror["runtimeFraction"]["defaultValue"]
    assert share == {"numerator": 333_333, "denominator": "MILLION"}


@pytest.mark.parametrize(
    ("persistence", "expected"),
    [
        (Persistence("s"), {"cookie": {"name": "s", "path": "/"}}),
        (
            Persistence("s", path="/a", lifetime_ms=2000),
            {"cookie": {"name": "s", "path": "/a", "ttl": "2s"}},
        ),
        (Persistence("x-s", header=True), {"name": "x-s"}),
    ],
)
def test_sessions(persistence: Persistence, expected: dict[str, Any]):
    armed = first(route(Forward((A,), persistence=persistence)))["typedPerFilterConfig"]
    config = armed[Filter.STATEFUL_SESSION]["statefulSession"]["sessionState"]["typedConfig"]
    assert {key: value for key, value in config.items() if key != "@type"} == expected


# --- paths


@pytest.mark.parametrize(
    ("edit", "path", "expected"),
    [
        (FullPath("/new"), "/a/b", "/new"),
        (FullPath(r"/n\1w"), "/a", r"/n\1w"),
        (FullPath(""), "/a", "/"),
        (PrefixPath("/a", "/x"), "/a/b", "/x/b"),
        (PrefixPath("/a", "/x"), "/a", "/x"),
        (PrefixPath("/a/", "/x/"), "/a/b", "/x/b"),
        (PrefixPath("/a", "/"), "/a/b", "/b"),
        (PrefixPath("/a", "/"), "/a", "/"),
        (PrefixPath("/a", ""), "/a/", "/"),
        (PrefixPath("/a.b", "/x"), "/a.b/c", "/x/c"),
        (PrefixPath("/", "/x"), "/b", "/x/b"),
        (PrefixPath("/", "/"), "/b", "/b"),
    ],
)
def test_path_edits(edit: PathEdit, path: str, expected: str):
    rewritten = action_of(Forward((A,), path_rewrite=edit)).get("regexRewrite")
    redirected = action_of(Redirect(path=edit)).get("regexRewrite")
    assert rewritten == redirected
    if rewritten is None:
        assert path == expected
    else:
        pattern, replacement = rewritten["pattern"]["regex"], rewritten["substitution"]
        assert re2.sub(pattern, replacement, path) == expected


# --- redirects


def test_redirect():
    redirect = Redirect(301, scheme="https", host="b.com", port=8443)
    assert action_of(redirect) == {
        "schemeRedirect": "https",
        "hostRedirect": "b.com",
        "portRedirect": 8443,
    }
    assert action_of(Redirect(302))["responseCode"] == "FOUND"


def test_a_schemes_own_port_goes_without_saying_only_for_a_host_of_ours():
    assert "portRedirect" not in action_of(Redirect(scheme="https", host="b.com", port=443))
    assert action_of(Redirect(scheme="https", port=443))["portRedirect"] == 443


# --- cross-origin rules


def test_wildcard_origins_are_bounded_by_the_host():
    cors = Cors(("https://*.a.com", "http://b.com", "*"), methods=("GET", "PUT"), max_age_s=0)
    policy = first(route(cors=cors))["typedPerFilterConfig"][Filter.CORS]
    wildcard, plain, every = policy["allowOriginStringMatch"]
    pattern = re2.compile(wildcard["safeRegex"]["regex"])
    assert pattern.fullmatch("https://x.y.a.com")
    assert not pattern.fullmatch("https://x.aXcom")
    assert not pattern.fullmatch("https://evil.com/.a.com")
    assert plain == {"exact": "http://b.com"}
    assert every == {"safeRegex": {"regex": ".+"}}
    assert policy["allowMethods"] == "GET,PUT"
    assert policy["maxAge"] == "0"


# --- provenance and order


def test_a_route_names_its_origin():
    origin = Origin("HTTPRoute", "shop", "cart", "spec.rules[0]")
    metadata = first(route(origin=origin))["metadata"]["filterMetadata"]
    assert metadata["waypost"] == {"origin": "HTTPRoute shop/cart spec.rules[0]"}
    path = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproute/cart"
    assert metadata["istio"] == {"config": path}


def test_a_table_waits_for_the_clusters_that_it_leads_to():
    node = table(
        route(Forward((A, WeightedBackend(None), replace(B, weight=0)), mirrors=(Mirror("m"),)))
    )
    assert set(resource(node).requires) == {
        ResourceKey(type_url, name)
        for name in ("a", "m")
        for type_url in (TypeUrl.CLUSTER, TypeUrl.ENDPOINT)
    }


def test_a_table_of_many_routes_is_what_its_routes_are_before_and_after_an_edit_of_one():
    paths = [RouteMatch(PathMatch(PathKind.EXACT, f"/{number}")) for number in range(200)]
    routes = [route(match=path, origin=Origin("HTTPRoute", "a", "b")) for path in paths]
    for edited in (routes[7], replace(routes[7], action=Redirect())):
        node = table(*routes[:7], edited, *routes[8:])
        assert resource(node).body == encode(render(node))
