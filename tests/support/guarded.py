"""Random AuthorizationPolicies, and random calls that they have something to say about."""

from collections.abc import Sequence
from random import Random
from typing import Any

from tests.support.spoken import Spoken
from xds_server.identity.spiffe import SpiffeId

TRUST_DOMAINS = ("mesh.example", "old.example")
CALLERS = tuple(
    SpiffeId(*each)
    for each in (
        ("mesh.example", "shop", "web"),
        ("mesh.example", "shop", "db"),
        ("mesh.example", "shop-b", "web"),
        ("mesh.example", "sa", "ns"),
        ("old.example", "shop", "web"),
        ("old.example", "ns", "sa"),
    )
)
SOURCES = ("10.1.2.3", "10.1.200.9", "192.168.7.7", "172.16.0.1")
SOURCES_V6 = ("fd00::1", "2001:db8::5")

_PRINCIPALS = (
    *("*", "mesh.example/ns/shop/sa/web", "old.example/ns/shop/sa/web", "mesh.example/*"),
    *("cluster.local/ns/shop/sa/db", "*/sa/web", "*web", "mesh.example/ns/shop/*", "m*", "*a"),
    *("other/ns/shop/sa/web", "mesh.example/ns/sho*", "bad*value", "meshXexample/ns/shop/sa/web"),
)
_NAMES = ("shop", "shop*", "*b", "*", "sa", "ns", "sho", "other", "*op", "s*", "a*b")
_CIDRS = (
    *("10.1.2.3", "10.1.0.0/16", "10.0.0.0/8", "192.168.0.0/16", "0.0.0.0/0", "fd00::/8"),
    *("::/0", "10.1.2.3/31", "10.1.2", "2001:db8::5"),
)
_HOSTS = (
    *("a.com", "A.com", "a.com:80", "a.com.", "*.a.com", "b.*", "*", "*:8080", "[::1]", "aXcom"),
    *("*com", "a*m", "b.a.com:8080", "*.com:80"),
)
_METHODS = ("GET", "POST", "*", "P*", "*T", "DELETE", "G*T")
_PATHS = (
    *("/admin", "/admin/*", "*/secret", "/*", "*", "/a/{*}/c", "/a/{**}", "/{*}/b", "/", "/pub*"),
    *("/{**}/c", "/admin;x", "/a*b", "/{*}{*}", "/A", "*b", "/a.b", "/%7Bx%7D", "/é"),
)
_HEADERS = ("x-a", "X-B", "cookie", "host")
_HEADER_VALUES = ("one", "on*", "*wo", "*", "one,two", "a.b", "o*e", "a.com", "k=v")
_CLAIMS = ("[role]", "[group][name]", "[list]")
_CLAIM_VALUES = ("admin", "adm*", "*in", "*", "reader", "a.b", "a*b")
_REQUEST_PRINCIPALS = (
    *("*", "iss/sub", "iss/*", "iss*", "*sub", "other/sub", "i*s", "a/b/c", "plain"),
)

_SOURCE_FIELDS: dict[str, Sequence[str]] = {
    "principals": _PRINCIPALS,
    "namespaces": _NAMES,
    "serviceAccounts": ("shop/web", "web", "demo/web", "sa/ns", "shop/*", "shop-b/web", "a/b/c"),
    "requestPrincipals": _REQUEST_PRINCIPALS,
    "trustDomains": ("mesh.example", "old.example", "mesh*", "*.example", "*", "example"),
    "ipBlocks": _CIDRS,
    "remoteIpBlocks": _CIDRS,
}
_OPERATION_FIELDS: dict[str, Sequence[str]] = {
    "hosts": _HOSTS,
    "ports": ("80", "90", "100", "8080", "http"),
    "methods": _METHODS,
    "paths": _PATHS,
}
_CONDITIONS: dict[str, Sequence[str]] = {
    "source.ip": _CIDRS,
    "remote.ip": _CIDRS,
    "source.namespace": _NAMES,
    "source.principal": _PRINCIPALS,
    "source.serviceAccount": ("shop/web", "web", "sa/ns"),
    "source.trustDomain": ("mesh.example", "*"),
    "request.auth.principal": _REQUEST_PRINCIPALS,
    "request.auth.audiences": ("aud1", "aud*", "*", "aud2"),
    "request.auth.presenter": ("app", "*"),
    "destination.ip": ("10.96.0.0/16", "10.96.0.1", "fd96::/16", "0.0.0.0/0"),
    "destination.port": ("80", "90", "100", "110"),
    "connection.sni": ("a.com", "*", "A.com.", "*.com", "b*", "a*m"),
    "no.such.key": ("x",),
    **{f"request.headers[{name}]": _HEADER_VALUES for name in _HEADERS},
    **{f"request.auth.claims{path}": _CLAIM_VALUES for path in _CLAIMS},
}


def random_policy(rng: Random, name: str, service: str) -> dict[str, Any]:
    """A manifest of the namespace ``demo`` that targets a service."""
    annotations = {"istio.io/dry-run": "true"} if rng.random() < 0.1 else {}
    rules = [_rule(rng) for _ in range(rng.choices((0, 1, 2, 3), (1, 5, 4, 2))[0])]
    return {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": "demo", "annotations": annotations},
        "spec": {
            "targetRefs": [{"group": "", "kind": "Service", "name": service}],
            "action": rng.choices(("ALLOW", "DENY", "AUDIT"), (6, 6, 1))[0],
            "rules": rules,
        },
    }


def random_request(rng: Random, *, http2: bool) -> Spoken:
    """A request; in HTTP/2 a path may hold any character, but not a query."""
    return Spoken(
        target=_target(rng, http2),
        method=rng.choice(("GET", "POST", "DELETE", "PUT")),
        host=rng.choice(_REQUEST_HOSTS),
        headers=tuple(_header(rng) for _ in range(rng.choice((0, 0, 1, 2, 3)))),
        claims=rng.choice(_TOKENS),
    )


def _rule(rng: Random) -> dict[str, Any]:
    rule: dict[str, Any] = {}
    if rng.random() < 0.6:
        rule["from"] = [{"source": _entry(rng, _SOURCE_FIELDS)} for _ in range(_few(rng))]
    if rng.random() < 0.6:
        rule["to"] = [{"operation": _entry(rng, _OPERATION_FIELDS)} for _ in range(_few(rng))]
    if rng.random() < 0.4:
        rule["when"] = [_condition(rng) for _ in range(_few(rng))]
    return rule


def _entry(rng: Random, fields: dict[str, Sequence[str]]) -> dict[str, list[str]]:
    entry = {}
    for name in rng.sample(list(fields), _few(rng)):
        shown = f"not{name[0].upper()}{name[1:]}" if rng.random() < 0.3 else name
        entry[shown] = _values(rng, fields[name])
    return entry


def _condition(rng: Random) -> dict[str, Any]:
    key = rng.choice(list(_CONDITIONS))
    names = rng.choice((["values"], ["values"], ["notValues"], ["values", "notValues"]))
    return {"key": key, **{name: _values(rng, _CONDITIONS[key]) for name in names}}


def _values(rng: Random, pool: Sequence[str]) -> list[str]:
    return rng.sample(pool, min(len(pool), _few(rng)))


def _few(rng: Random) -> int:
    return rng.choices((1, 2, 3), (6, 3, 1))[0]


_REQUEST_HOSTS = (
    *("a.com", "A.COM", "a.com:80", "a.com.", "a.com.:8080", "b.a.com", "b.a.com:8080", "b.org"),
    *("[::1]", "[::1]:80", "aXcom", "com", "a.com:", "x.com:80", "a..com", "a.com,b.org"),
)
_REQUEST_PATHS = (
    *("/admin", "/admin/", "/admin/x", "/a/b/c", "/a//b/c", "/a", "/a/", "/", "/pub", "/public"),
    *("/x/secret", "/secret", "/b", "/x/b", "/a.b", "/a/[x]*y/c", "/ADMIN", "/aXb", "/{x}", "/A"),
)
_TRICKS = (
    *("//", "/./", "/../", "/.%2e/", "%2e", "%2f", "%5C", "\\", ";x=1", ";", "/..;/", "/%2e%2e;/"),
    *(
        "%61",
        "%2561",
        "?q=/admin",
        "%4%31",
        "?",
        "%00",
        "/x/..",
        "/.",
        "%3b",
        "%2%65",
        "%zz",
        "%C3%A9",
        "é",
    ),
    *("#f", "|", "%7B", "/;/", "a"),
)
_TOKENS: tuple[dict[str, Any], ...] = (
    {},
    {},
    {"iss": "iss", "sub": "sub", "aud": ["aud1", "aud2"], "azp": "app", "role": "admin"},
    {"iss": "iss", "sub": "other", "aud": "aud1", "group": {"name": "admin"}, "list": ["reader"]},
    {"iss": "a/b", "sub": "c", "role": ["x", "a.b"], "list": [], "group": "admin"},
    {"iss": "i\ns", "sub": "", "role": "aXb", "group": {"name": ["reader", "admin"]}},
    {"sub": "sub", "role": 7, "list": ["adm", {"x": "admin"}]},
)


def _header(rng: Random) -> tuple[str, str]:
    name = rng.choice(("x-a", "x-a", "x-b", "X-B", "x-c"))
    return name, rng.choice(("one", "two", "One", "one,two", "", "a.b", "aXb", "one, two", "only"))


def _target(rng: Random, http2: bool) -> str:
    path = rng.choice(_REQUEST_PATHS)
    for _ in range(rng.choices((0, 1, 2, 3), (5, 4, 2, 1))[0]):
        trick = rng.choice(_TRICKS)
        at = rng.randrange(1, len(path) + 1)
        if trick.isascii() or http2:
            path = path[:at] + trick + path[at:]
    # The waypoint hands on any query, but its pods speak HTTP/1.1 and refuse such characters.
    before, _, query = path.partition("?")
    return path if query.isascii() else before
