"""AuthorizationPolicy: whatever can't be read is named, and nothing is silently dropped."""

from typing import Any

import pytest

from translators.resources import Parsed, parse
from translators.resources.authorizationpolicy import (
    AuthorizationPolicy,
    PolicyCondition,
    PolicyRule,
    TargetRef,
)
from translators.resources.gateway import LabelSelector


def attempt(spec: object, **metadata: object) -> Parsed:
    return parse(
        {
            "apiVersion": "security.istio.io/v1",
            "kind": "AuthorizationPolicy",
            "metadata": {"name": "p", "namespace": "n", **metadata},
            "spec": spec,
        }
    )


def policy_of(parsed: Parsed) -> AuthorizationPolicy:
    assert isinstance(parsed.value, AuthorizationPolicy)
    return parsed.value


def read(**spec: Any) -> AuthorizationPolicy:
    parsed = attempt(spec)
    assert parsed.problems == ()
    assert policy_of(parsed).unreadable == ()
    return policy_of(parsed)


def test_everything_of_a_policy() -> None:
    policy = read(
        action="CUSTOM",
        provider={"name": "ext"},
        targetRefs=[{"kind": "Service", "name": "s", "group": ""}],
        rules=[
            {
                "from": [
                    {"source": {"principals": ["a"], "notNamespaces": ["b"]}},
                    {"source": {"ipBlocks": []}},
                ],
                "to": [{"operation": {"methods": ["GET"], "notPaths": ["/x"]}}],
                "when": [{"key": "source.ip", "values": ["v"]}, {"key": "k", "notValues": ["w"]}],
            },
            {},
        ],
    )
    assert (policy.action, policy.provider) == ("CUSTOM", "ext")
    assert policy.targets == (TargetRef("", "Service", "s"),)
    assert policy.rules == (
        PolicyRule(
            ({"principals": ("a",), "notNamespaces": ("b",)}, {"ipBlocks": ()}),
            ({"methods": ("GET",), "notPaths": ("/x",)},),
            (PolicyCondition("source.ip", ("v",)), PolicyCondition("k", not_values=("w",))),
        ),
        PolicyRule(),
    )


def test_the_short_forms() -> None:
    assert read() == read(rules=[])
    assert read().action == "ALLOW"
    assert read(targetRef={"kind": "Gateway", "name": "g"}).targets[0].kind == "Gateway"
    assert read(selector={"matchLabels": {"a": "b"}}).selector == LabelSelector({"a": "b"})
    assert read(action="UNHEARD").action == "UNHEARD"


SOURCES = ("principals", "requestPrincipals", "namespaces", "serviceAccounts", "trustDomains",
           "ipBlocks", "remoteIpBlocks", "notPrincipals", "notRequestPrincipals", "notNamespaces",
           "notServiceAccounts", "notTrustDomains", "notIpBlocks", "notRemoteIpBlocks")  # fmt: skip
OPERATIONS = (
    "hosts",
    "ports",
    "methods",
    "paths",
    "notHosts",
    "notPorts",
    "notMethods",
    "notPaths",
)


def test_every_field_of_the_api_is_known() -> None:
    for name in SOURCES:
        policy = read(rules=[{"from": [{"source": {name: ["x"]}}]}])
        assert policy.rules[0].sources == ({name: ("x",)},)
    for name in OPERATIONS:
        policy = read(rules=[{"to": [{"operation": {name: ["x"]}}]}])
        assert policy.rules[0].operations == ({name: ("x",)},)


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        (5, ""),
        ({"form": []}, "form"),
        ({"from": []}, "from"),
        ({"from": None}, "from"),
        ({"from": {}}, "from"),
        ({"from": [{}]}, "from[0].source"),
        ({"from": [5]}, "from[0]"),
        ({"from": [{"source": {}}]}, "from[0].source"),
        ({"from": [{"sources": {"principals": ["a"]}}]}, "from[0].sources"),
        ({"from": [{"source": {"notPrincipal": ["a"]}}]}, "from[0].source.notPrincipal"),
        ({"from": [{"source": {"principals": "a"}}]}, "from[0].source.principals"),
        ({"from": [{"source": {"principals": None}}]}, "from[0].source.principals"),
        ({"from": [{"source": {"principals": [5]}}]}, "from[0].source.principals[0]"),
        ({"to": [{"operation": {"path": ["/a"]}}]}, "to[0].operation.path"),
        ({"to": [{"operation": {"ports": [80]}}]}, "to[0].operation.ports[0]"),
        ({"when": [{"key": "k"}]}, "when[0].values"),
        ({"when": [{"values": ["v"]}]}, "when[0].key"),
        ({"when": [{"key": "k", "value": ["v"], "values": ["v"]}]}, "when[0].value"),
    ],
)
def test_a_rule_says_what_of_it_is_unreadable(rule: object, path: str) -> None:
    parsed = attempt({"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/"]}}]}, rule]})
    good, bad = policy_of(parsed).rules
    assert good.unreadable == ()
    assert path in [place for place, _ in bad.unreadable]
    assert policy_of(parsed).unreadable == ()
    assert all(problem.path.startswith("spec.rules[1]") for problem in parsed.problems)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (5, "spec"),
        ({"action": 5}, "spec.action"),
        ({"action": ""}, "spec.action"),
        ({"action": None}, "spec.action"),
        ({"ation": "DENY"}, "spec.ation"),
        ({"rules": {}}, "spec.rules"),
        ({"rules": None}, "spec.rules"),
        ({"rules": [{}] * 513}, "spec.rules"),
        ({"targetRefs": [{"kind": "Service"}]}, "spec.targetRefs[0].name"),
        ({"targetRefs": [{"kind": "Service", "name": "s"}] * 17}, "spec.targetRefs"),
        (
            {"targetRef": {"kind": "Service", "name": "s", "namespace": "o"}},
            "spec.targetRef.namespace",
        ),
        ({"selector": {"matchLabels": {"a": 5}}}, "spec.selector.matchLabels.a"),
        ({"provider": "x"}, "spec.provider"),
    ],
)
def test_a_policy_says_what_of_it_is_unreadable(spec: object, path: str) -> None:
    parsed = attempt(spec)
    assert path in [place for place, _ in policy_of(parsed).unreadable]
    assert path in [problem.path for problem in parsed.problems]


def test_targets_that_can_be_read_are_kept_beside_bad_ones() -> None:
    targets = [{"kind": "Service", "name": "s"}, {"kind": "Service"}]
    policy = policy_of(attempt({"targetRefs": targets}))
    assert policy.targets == (TargetRef("", "Service", "s"),)
    assert policy.unreadable


def test_bad_metadata_and_unknown_versions_do_not_stop_protection() -> None:
    assert policy_of(attempt({}, labels={"a": 5})).unreadable
    manifest = {
        "apiVersion": "security.istio.io/v2",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "p"},
    }
    assert policy_of(parse(manifest)).unreadable[0][0] == "apiVersion"
