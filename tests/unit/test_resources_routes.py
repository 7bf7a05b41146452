"""GRPCRoute, TCPRoute, TLSRoute and ReferenceGrant as they are read."""

from typing import Any

import pytest

from translators.resources import Parsed, parse
from translators.resources.grpcroute import GrpcMatch, GrpcMethodMatch, GRPCRoute, GrpcRule
from translators.resources.httproute import (
    BackendRef,
    HttpBackend,
    HttpExternalAuth,
    HttpFilter,
    HTTPRoute,
    HttpValueMatch,
    ParentRef,
)
from translators.resources.referencegrant import GrantFrom, GrantTo, ReferenceGrant
from translators.resources.tcproute import TcpBackend, TCPRoute, TcpRule, TLSRoute

GROUP = "gateway.networking.k8s.io"


def attempt(kind: str, version: str = "v1", **spec: Any) -> Parsed:
    metadata = {"name": "r", "namespace": "n"}
    return parse(
        {"apiVersion": f"{GROUP}/{version}", "kind": kind, "metadata": metadata, "spec": spec}
    )


def read(kind: str, version: str = "v1", **spec: Any) -> Any:
    parsed = attempt(kind, version, **spec)
    assert parsed.problems == ()
    return parsed.value


PARENT = {"group": "", "kind": "Service", "name": "s"}
BACKEND = {"name": "b", "port": 80, "weight": 5}
REF = BackendRef("", "Service", "n", "b", 80)


def test_grpcroute() -> None:
    route = read(
        "GRPCRoute",
        hostnames=["h"],
        parentRefs=[PARENT],
        rules=[
            {
                "name": "r",
                "matches": [
                    {
                        "method": {"service": "s", "method": "m"},
                        "headers": [{"name": "h", "value": "v"}],
                    }
                ],
                "backendRefs": [BACKEND],
                "sessionPersistence": {"type": "Header", "header": {"name": "x"}},
            },
            {},
        ],
    )
    assert isinstance(route, GRPCRoute)
    assert (route.parents, route.hostnames) == ((ParentRef("", "Service", "n", "s"),), ("h",))
    first, second = route.rules
    method = GrpcMethodMatch("Exact", "s", "m")
    assert first.matches == (GrpcMatch(method, (HttpValueMatch("h", "v"),)),)
    assert first.backends == (HttpBackend(REF, 5),)
    assert first.session_persistence is not None
    assert first.session_persistence.session_name == "x"
    assert second == GrpcRule()


def test_a_bad_grpc_rule_marks_itself_and_no_other() -> None:
    bad = {"matches": [{"method": {"service": 5}}, {}], "backendRefs": [{}]}
    route = attempt("GRPCRoute", rules=[{}, bad]).value
    assert isinstance(route, GRPCRoute)
    assert route.rules[0] == GrpcRule()
    assert route.rules[1].matches == (GrpcMatch(),)
    assert [path for path, _ in route.rules[1].unreadable] == [
        "matches[0].method.service",
        "backendRefs[0].name",
    ]
    assert attempt("GRPCRoute", hostnames=5).value is None


@pytest.mark.parametrize(
    ("kind", "version"),
    [("TCPRoute", "v1"), ("TCPRoute", "v1alpha2"), ("TLSRoute", "v1"), ("TLSRoute", "v1alpha2")],
)
def test_tcproute_and_tlsroute(kind: str, version: str) -> None:
    route = read(kind, version, parentRefs=[PARENT], rules=[{"backendRefs": [BACKEND]}])
    assert isinstance(route, TCPRoute | TLSRoute)
    assert route.rules == (TcpRule((TcpBackend(REF, 5),)),)
    bad = attempt(kind, version, rules=[{"backendRefs": [{"name": "b", "weight": "5"}]}]).value
    assert isinstance(bad, TCPRoute | TLSRoute)
    assert bad.rules[0].unreadable == (("backendRefs[0].weight", "is a text, not a whole number"),)


def test_tlsroute_has_hostnames() -> None:
    assert read("TLSRoute", hostnames=["a.example"]).hostnames == ("a.example",)


def test_external_auth() -> None:
    part = {
        "protocol": "HTTP",
        "backendRef": {"name": "b", "port": 80},
        "http": {"path": "/auth", "allowedHeaders": ["a"], "allowedResponseHeaders": ["b"]},
        "grpc": {"allowedHeaders": ["c"]},
        "forwardBody": {"maxSize": 10},
    }
    route = read("HTTPRoute", rules=[{"filters": [{"type": "ExternalAuth", "externalAuth": part}]}])
    assert isinstance(route, HTTPRoute)
    expected = HttpExternalAuth("HTTP", REF, "/auth", ("a",), ("b",), 10)
    assert route.rules[0].filters == (HttpFilter("ExternalAuth", external_auth=expected),)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_referencegrant(version: str) -> None:
    grant = read(
        "ReferenceGrant",
        version,
        **{
            "from": [{"group": GROUP, "kind": "HTTPRoute", "namespace": "o"}],
            "to": [{"group": "", "kind": "Service"}, {"kind": "Service", "name": "s"}],
        },
    )
    assert isinstance(grant, ReferenceGrant)
    assert grant.sources == (GrantFrom(GROUP, "HTTPRoute", "o"),)
    assert grant.targets == (GrantTo("", "Service"), GrantTo("", "Service", "s"))


@pytest.mark.parametrize(
    "spec",
    [
        {"to": [{"kind": "Service", "nam": "s"}]},
        {"to": [{"kind": "Service", "name": None}]},
        {"to": [{"kind": "Service", "name": 5}]},
        {"from": [{"kind": "HTTPRoute"}]},
        {"from": [{"kind": "HTTPRoute", "namespace": "o", "name": "x"}]},
    ],
)
def test_a_grant_with_anything_unreadable_grants_nothing(spec: dict[str, object]) -> None:
    parsed = attempt("ReferenceGrant", **spec)
    assert parsed.value is None
    assert parsed.problems
