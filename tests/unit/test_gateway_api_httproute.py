"""What an HTTPRoute makes of requests."""

from dataclasses import replace

import pytest

from tests.support.objects import (
    backend,
    gateway,
    path,
    reader_of,
    route,
    rule,
    service,
)
from translators.gateway_api import translate_service
from translators.gateway_api.forwarding import DEFAULT_RETRY
from translators.ir import Mesh, WaypointName
from translators.ir.route import (
    Cors,
    DirectResponse,
    Forward,
    FullPath,
    HeaderEdit,
    Mirror,
    PathKind,
    PathMatch,
    Persistence,
    PrefixPath,
    Redirect,
    Route,
    RouteMatch,
    ValueMatch,
    WeightedBackend,
)
from translators.resources.httproute import (
    BackendRef,
    HeaderModifier,
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

WAYPOINT = WaypointName("default", "waypoint")
OWN = "inbound-vip|9080|http|reviews.default.svc.cluster.local"
V2 = "outbound|9080||v2.default.svc.cluster.local"
FAILS = DirectResponse(500)


def routes_of(*objects) -> tuple[Route, ...]:
    subject = service()
    reader = reader_of(gateway(), subject, service("v2", labels={}), *objects)
    return translate_service(reader, Mesh(), WAYPOINT, subject).tables[0].routes


def only(given: HttpRule) -> Route:
    (found,) = routes_of(route("r", given))
    return found


def forward(given: HttpRule) -> Forward:
    action = only(given).action
    assert isinstance(action, Forward)
    return action


def test_a_plain_rule_forwards():
    assert only(rule()) == Route(
        "default.r.0",
        RouteMatch(),
        Forward((WeightedBackend(OWN),), retry=DEFAULT_RETRY),
        origin=only(rule()).origin,
    )
    assert str(only(rule()).origin) == "HTTPRoute default/r spec.rules[0]"
    assert only(rule(name="mine")).name == "mine"
    assert only(rule(name="not a name")).name == "default.r.0"


def test_matches_become_conditions():
    match = HttpMatch(
        HttpPathMatch("PathPrefix", "/a/b/"),
        "GET",
        (
            HttpValueMatch("X-One", "1"),
            HttpValueMatch("x-one", "2"),
            HttpValueMatch("Host", "h.*", "RegularExpression"),
        ),
        (HttpValueMatch("Q", "v"),),
    )
    assert only(rule(match)).match == RouteMatch(
        PathMatch(PathKind.PREFIX, "/a/b"),
        "GET",
        (ValueMatch("x-one", "1"), ValueMatch(":authority", "h.*", regex=True)),
        (ValueMatch("Q", "v"),),
    )


@pytest.mark.parametrize(
    "match",
    [
        path("(", "RegularExpression"),
        path("(?=a)", "RegularExpression"),
        path("a" * 1025, "RegularExpression"),
        path("((a{100}){10}b){10}", "RegularExpression"),
        path("", "RegularExpression"),
        path("a", "Exact"),
        path("/a//b"),
        path("/a/../b"),
        path("/a?b"),
        path("/a%2fb"),
        path("/a\x00"),
        path("/\ud800"),
        path("/", "Nonsense"),
        path("/", method="BREW"),
        path("/", headers=(HttpValueMatch("", "v"),)),
        path("/", headers=(HttpValueMatch("a b", "v"),)),
        path("/", headers=(HttpValueMatch("a", "v\n"),)),
        path("/", headers=(HttpValueMatch("a", "(", "RegularExpression"),)),
        path("/", headers=(HttpValueMatch("a", "v", "Nonsense"),)),
        path("/", query=(HttpValueMatch("a", "[", "RegularExpression"),)),
        path("/", query=(HttpValueMatch("", "v"),)),
    ],
)
def test_a_match_that_can_not_be_expressed_is_left_out_alone(match):
    found = routes_of(route("r", rule(match, path("/fine"))))
    assert [one.match.path.value for one in found] == ["/fine"]


def test_a_route_without_any_usable_match_leaves_404_not_the_default():
    assert routes_of(route("r", rule(path("(", "RegularExpression")))) == ()
    assert routes_of(route("r")) == ()
    assert routes_of(route("r", HttpRule(matches=(), backends=(backend(),)))) == ()


def test_weights_and_invalid_backends_keep_their_share():
    backends = (
        backend(weight=90),
        backend("v2", weight=10),
        backend("gone", weight=5),
        backend("v2", weight=0),
    )
    assert forward(rule(backends=backends)).backends == (
        WeightedBackend(OWN, 90),
        WeightedBackend(V2, 10),
        WeightedBackend(None, 5),
    )


@pytest.mark.parametrize(
    "backends",
    [
        (),
        (backend(weight=0),),
        (backend("gone"),),
        (backend(weight=0), backend("gone")),
        (backend(port=None),),
        (backend(port=1),),
        (backend(weight=-1),),
        (backend(weight=1_000_001),),
        (replace(backend(), ref=BackendRef("", "ConfigMap", "default", "reviews", 9080)),),
        (replace(backend(), ref=BackendRef("apps", "Service", "default", "reviews", 9080)),),
        (backend(filters=(HttpFilter("RequestMirror"),)),),
        (backend("external"),),
    ],
)
def test_without_a_valid_backend_the_answer_is_500(backends):
    external = service("external", external_name="example.com")
    (found,) = routes_of(route("r", rule(backends=backends)), external)
    assert found.action == FAILS


def test_header_modifiers_of_rules_and_backends():
    modifier = HeaderModifier((("X-A", "1"),), (("x-b", "%2"),), ("X-C", "x-c"))
    edit = HeaderEdit((("x-a", "1"),), (("x-b", "%2"),), ("x-c",))
    both = (
        HttpFilter("RequestHeaderModifier", header_modifier=modifier),
        HttpFilter("ResponseHeaderModifier", header_modifier=modifier),
    )
    found = only(rule(filters=both, backends=(backend(filters=both),)))
    assert (found.request_headers, found.response_headers) == (edit, edit)
    assert isinstance(found.action, Forward)
    assert found.action.backends == (
        WeightedBackend(OWN, request_headers=edit, response_headers=edit),
    )


@pytest.mark.parametrize(
    "modifier",
    [
        HeaderModifier(set=(("Host", "x"),)),
        HeaderModifier(set=((":path", "/"),)),
        HeaderModifier(set=(("", "x"),)),
        HeaderModifier(set=(("a b", "x"),)),
        HeaderModifier(set=(("a", "x\r\ny"),)),
        HeaderModifier(set=(("a", "x"), ("A", "y"))),
        HeaderModifier(add=(("a", "\x00"),)),
        HeaderModifier(remove=("host",)),
        HeaderModifier(remove=("",)),
    ],
)
def test_header_edits_that_a_proxy_refuses_answer_500(modifier):
    one = HttpFilter("RequestHeaderModifier", header_modifier=modifier)
    assert only(rule(filters=(one,))).action == FAILS
    assert only(rule(backends=(backend(filters=(one,)),))).action == FAILS


def redirect(**given) -> HttpRule:
    one = HttpFilter("RequestRedirect", redirect=RequestRedirect(**given))
    return rule(path("/old"), filters=(one,), backends=())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, Redirect()),
        ({"status_code": 301}, Redirect(301)),
        ({"hostname": "a.b"}, Redirect(host="a.b", port=9080)),
        ({"hostname": "a.b", "scheme": "https"}, Redirect(host="a.b", scheme="https")),
        ({"scheme": "https"}, Redirect(scheme="https", port=443)),
        ({"port": 8443, "scheme": "https"}, Redirect(scheme="https", port=8443)),
        ({"hostname": "a.b", "port": 80}, Redirect(host="a.b")),
        ({"port": 8080}, Redirect(port=8080)),
        ({"path": PathModifier("ReplaceFullPath", "/new")}, Redirect(path=FullPath("/new"))),
        (
            {"path": PathModifier("ReplacePrefixMatch", "/new")},
            Redirect(path=PrefixPath("/old", "/new")),
        ),
    ],
)
def test_redirects(given, expected):
    assert only(redirect(**given)).action == expected


@pytest.mark.parametrize(
    "given",
    [
        {"status_code": 200},
        {"scheme": "ftp"},
        {"hostname": "a b"},
        {"hostname": "*.a.b"},
        {"port": 0},
        {"port": 65536},
        {"path": PathModifier("Nonsense", "/")},
        {"path": PathModifier("ReplaceFullPath", "relative")},
        {"path": PathModifier("ReplaceFullPath", "/a\nb")},
    ],
)
def test_redirects_that_can_not_be_answer_500(given):
    assert only(redirect(**given)).action == FAILS


def test_rewrites():
    rewrite = UrlRewrite("other.host", PathModifier("ReplacePrefixMatch", ""))
    found = forward(rule(path("/v1/"), filters=(HttpFilter("URLRewrite", rewrite=rewrite),)))
    assert (found.host_rewrite, found.path_rewrite) == ("other.host", PrefixPath("/v1", "/"))


REWRITE_HOST = HttpFilter("URLRewrite", rewrite=UrlRewrite("a.b"))
REDIRECT_HOST = HttpFilter("RequestRedirect", redirect=RequestRedirect(hostname="a.b"))
REWRITE_PREFIX = HttpFilter(
    "URLRewrite", rewrite=UrlRewrite(path=PathModifier("ReplacePrefixMatch", "/"))
)


@pytest.mark.parametrize(
    "given",
    [
        rule(filters=(HttpFilter("ExtensionRef"),)),
        rule(filters=(HttpFilter("Nonsense"),)),
        rule(filters=(HttpFilter("URLRewrite"),)),
        rule(filters=(REWRITE_HOST, REWRITE_HOST)),
        rule(filters=(REWRITE_HOST, REDIRECT_HOST), backends=()),
        rule(filters=(REDIRECT_HOST,)),  # and has backends
        rule(path("/a", "Exact"), filters=(REWRITE_PREFIX,)),
        rule(unreadable=(("filters[0]", "is no mapping"),)),
    ],
)
def test_what_can_not_be_done_is_never_skipped(given):
    assert only(given).action == FAILS


def test_mirrors_go_to_what_exists():
    def mirror(name, **given):
        ref = BackendRef("", "Service", "default", name, 9080)
        return HttpFilter("RequestMirror", mirror=RequestMirror(ref, **given))

    filters = (mirror("v2"), mirror("v2", percent=5), mirror("reviews", fraction=(1, 3)))
    found = forward(rule(filters=(*filters, mirror("gone"))))
    assert found.mirrors == (Mirror(V2), Mirror(V2, 5, 100), Mirror(OWN, 1, 3))
    assert found.backends == (WeightedBackend(OWN),)
    for bad in ({"percent": 101}, {"percent": 1, "fraction": (1, 2)}, {"fraction": (2, 1)}):
        assert only(rule(filters=(mirror("v2", **bad),))).action == FAILS
    assert only(rule(filters=(mirror("v2", fraction=(0, 0)),))).action == FAILS


def test_cors():
    cors = HttpCors(("https://*.a.b:8443", "*"), True, ("GET", "*"), ("x-a",), ("x-b",), 60)
    assert only(rule(filters=(HttpFilter("CORS", cors=cors),))).cors == Cors(
        ("https://*.a.b:8443", "*"), ("GET", "*"), ("x-a",), ("x-b",), True, 60
    )
    for bad in (HttpCors(("nonsense\n",)), HttpCors(allow_methods=("a b",)), HttpCors(max_age=0)):
        assert only(rule(filters=(HttpFilter("CORS", cors=bad),))).action == FAILS


@pytest.mark.parametrize(
    ("request_time", "backend_time", "retry", "expected"),
    [
        (None, None, None, (None, None)),
        ("10s", None, None, (10_000, None)),
        ("1m30s500ms", "1s", None, (1_000, None)),
        (None, "1s", None, (1_000, None)),
        ("0s", "1s", None, (1_000, None)),
        ("1m30s500ms", "1s", HttpRetry(), (90_500, 1_000)),
        (None, "1s", HttpRetry(attempts=1), (None, 1_000)),
        ("10s", "0s", None, (10_000, None)),
        ("10s", "1s", HttpRetry(attempts=0), (1_000, None)),
        ("10s", None, HttpRetry(attempts=0), (10_000, None)),
    ],
)
def test_timeouts(request_time, backend_time, retry, expected):
    found = forward(rule(timeout_request=request_time, timeout_backend=backend_time, retry=retry))
    assert (found.timeout_ms, found.attempt_timeout_ms) == expected


@pytest.mark.parametrize(
    "given",
    [
        {"timeout_request": "soon"},
        {"timeout_request": "1.5s"},
        {"timeout_request": "-1s"},
        {"timeout_request": ""},
        {"timeout_request": "100000h"},
        {"timeout_request": "1s", "timeout_backend": "2s"},
        {"retry": HttpRetry(codes=(200,))},
        {"retry": HttpRetry(backoff="soon")},
        {"retry": HttpRetry(attempts=1000)},
        {"session_persistence": HttpSessionPersistence(type="Nonsense")},
        {"session_persistence": HttpSessionPersistence("a b")},
        {"session_persistence": HttpSessionPersistence(cookie_path="/; Secure")},
        {"session_persistence": HttpSessionPersistence(idle_timeout="1m")},
        {"session_persistence": HttpSessionPersistence(absolute_timeout="1m")},
        {"session_persistence": HttpSessionPersistence(cookie_lifetime="Permanent")},
    ],
)
def test_values_that_can_not_be_used_answer_500(given):
    assert only(rule(**given)).action == FAILS


def test_retries():
    assert forward(rule(retry=HttpRetry(attempts=-1))).retry is None
    asked = forward(rule(retry=HttpRetry((503, 504), 3, "100ms"))).retry
    assert asked is not None
    assert (asked.attempts, asked.codes, asked.backoff_ms) == (3, (503, 504), 100)
    assert asked.methods == ()
    assert "reset" in asked.on
    plain = forward(rule(retry=HttpRetry())).retry
    assert plain is not None
    assert (plain.attempts, plain.codes, plain.backoff_ms) == (2, (), None)


def test_session_persistence():
    def persistence(**given):
        return forward(rule(session_persistence=HttpSessionPersistence(**given))).persistence

    assert persistence() == Persistence("default.r.0")
    assert persistence(session_name="x-s", type="Header") == Persistence("x-s", header=True)
    assert persistence(cookie_path="/shop") == Persistence("default.r.0", path="/shop")
    lasting = persistence(session_name="s", cookie_lifetime="Permanent", absolute_timeout="1h")
    assert lasting == Persistence("s", lifetime_ms=3_600_000)
