"""ServiceEntry, WorkloadEntry and RequestAuthentication as they are read."""

from typing import Any

import pytest

from translators.resources import Parsed, parse
from translators.resources.authorizationpolicy import TargetRef
from translators.resources.core import ServicePort
from translators.resources.requestauthentication import JwtRule, RequestAuthentication
from translators.resources.serviceentry import ServiceEntry
from translators.resources.workloadentry import Workload, WorkloadEntry


def attempt(api_version: str, kind: str, **parts: Any) -> Parsed:
    metadata = {"name": "x", "namespace": "n"}
    return parse({"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts})


def read(api_version: str, kind: str, **parts: Any) -> Any:
    parsed = attempt(api_version, kind, **parts)
    assert parsed.problems == ()
    return parsed.value


WORKLOAD = {
    "address": "10.0.0.1",
    "ports": {"http": 8080},
    "labels": {"a": "b"},
    "network": "net",
    "locality": "r/z",
    "weight": 3,
    "serviceAccount": "sa",
}
TYPED_WORKLOAD = Workload("10.0.0.1", {"http": 8080}, {"a": "b"}, "net", "r/z", 3, "sa")


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha3"])
def test_serviceentry(version: str) -> None:
    entry = read(
        f"networking.istio.io/{version}",
        "ServiceEntry",
        spec={
            "hosts": ["a.example"],
            "addresses": ["10.1.2.3/8", "2001:DB8::1"],
            "ports": [
                {"number": 80, "name": "http", "protocol": "HTTP"},
                {"number": 81, "name": "tcp", "targetPort": 82},
                {"number": 82, "name": "dns", "protocol": "UDP"},
            ],
            "location": "MESH_INTERNAL",
            "resolution": "STATIC",
            "endpoints": [WORKLOAD],
            "exportTo": ["."],
            "subjectAltNames": ["spiffe://x"],
        },
        status={"addresses": [{"host": "a.example", "value": "240.240.0.1"}]},
    )
    assert entry == ServiceEntry(
        entry.meta,
        hosts=("a.example",),
        addresses=("10.0.0.0/8", "2001:db8::1"),
        allocated=(("a.example", "240.240.0.1"),),
        ports=(
            ServicePort(80, "http", "TCP", "http", 80),
            ServicePort(81, "tcp", "TCP", "", 82),
            ServicePort(82, "dns", "UDP", "", 82),
        ),
        location="MESH_INTERNAL",
        resolution="STATIC",
        endpoints=(TYPED_WORKLOAD,),
        export_to=(".",),
        subject_alt_names=("spiffe://x",),
    )


def test_a_selector_and_none_differ() -> None:
    def selector(spec: dict[str, object]) -> object:
        return read("networking.istio.io/v1", "ServiceEntry", spec=spec).selector

    assert selector({}) is None
    assert selector({"workloadSelector": {"labels": {"a": "b"}}}) == {"a": "b"}


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"addresses": ["10.0.0.0/33"]}, "spec.addresses"),
        ({"addresses": ["host"]}, "spec.addresses"),
        ({"ports": [{"name": "x"}]}, "spec.ports[0].number"),
        ({"endpoints": [{"ports": {"http": "80"}}]}, "spec.endpoints[0].ports.http"),
        ({"endpoints": [{"ports": {"http": 65536}}]}, "spec.endpoints[0].ports.http"),
        ({"hosts": "a"}, "spec.hosts"),
    ],
)
def test_a_bad_serviceentry_is_left_out(spec: dict[str, object], path: str) -> None:
    parsed = attempt("networking.istio.io/v1", "ServiceEntry", spec=spec)
    assert parsed.value is None
    assert [problem.path for problem in parsed.problems] == [path]


def test_workloadentry() -> None:
    entry = read("networking.istio.io/v1", "WorkloadEntry", spec=WORKLOAD)
    assert entry == WorkloadEntry(entry.meta, TYPED_WORKLOAD)
    for weight in (None, 0):
        entry = read("networking.istio.io/v1", "WorkloadEntry", spec={"weight": weight})
        assert entry.workload.weight == 1


def test_requestauthentication() -> None:
    found = read(
        "security.istio.io/v1",
        "RequestAuthentication",
        spec={
            "targetRefs": [{"kind": "Service", "name": "s"}],
            "jwtRules": [
                {
                    "issuer": "i",
                    "audiences": ["a"],
                    "jwksUri": "https://i/keys",
                    "jwks": '{\n"keys": []}',
                    "fromHeaders": [{"name": "h", "prefix": "p "}],
                    "fromParams": ["q"],
                    "fromCookies": ["c"],
                    "outputPayloadToHeader": "o",
                    "outputClaimToHeaders": [{"header": "h", "claim": "c"}],
                    "spaceDelimitedClaims": ["s"],
                    "forwardOriginalToken": True,
                    "timeout": "5s",
                    "presence": "REQUIRED",
                },
                {"issuer": "j", "jwks_uri": "https://j/keys"},
            ],
        },
    )
    assert found.targets == (TargetRef("", "Service", "s"),)
    assert found.unreadable == ()
    assert found.rules == (
        JwtRule(
            "i", ("a",), "https://i/keys", '{\n"keys": []}', (("h", "p "),), ("q",), ("c",), "o",
            (("h", "c"),), ("s",), forward_token=True, timeout="5s", presence="REQUIRED",
        ),
        JwtRule("j", jwks_uri="https://j/keys"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        ({}, "issuer"),
        ({"issuer": "i", "audience": ["a"]}, "audience"),
        ({"issuer": "i", "audiences": "a"}, "audiences"),
        ({"issuer": "i", "fromHeaders": [{}]}, "fromHeaders[0].name"),
    ],
)
def test_a_bad_rule_says_what_of_it_is_unreadable(rule: dict[str, object], path: str) -> None:
    spec = {"jwtRules": [{"issuer": "good"}, rule]}
    found = attempt("security.istio.io/v1", "RequestAuthentication", spec=spec).value
    assert isinstance(found, RequestAuthentication)
    assert found.rules[0] == JwtRule("good")
    assert [place for place, _ in found.rules[1].unreadable] == [path]


def test_anything_unreadable_outside_of_rules_is_kept_as_such() -> None:
    spec = {"jwtRule": [], "targetRefs": [{}]}
    found = attempt("security.istio.io/v1", "RequestAuthentication", spec=spec).value
    assert isinstance(found, RequestAuthentication)
    assert {"spec.jwtRule", "spec.targetRefs[0].kind"} <= {path for path, _ in found.unreadable}
