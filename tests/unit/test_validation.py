"""Offline validation says what an API server would say, in words and with the field."""

import builtins
import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xds_server.validation import Validator, Violation, default_validator, validate
from xds_server.validation.cel import CelEngine, RuleError
from xds_server.validation.defaults import drop_unknown, fill_defaults
from xds_server.validation.rules import compile_rules
from xds_server.validation.schemas import Definition, load_crds, read_definitions
from xds_server.validation.validator import _find_engine
from xds_server.validation.view import escape, view


def httproute(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "a", "namespace": "default"},
        "spec": spec,
    }


def istio(kind: str, **spec: Any) -> dict[str, Any]:
    group = "security" if kind.endswith(("Policy", "Authentication")) else "networking"
    return {
        "apiVersion": f"{group}.istio.io/v1",
        "kind": kind,
        "metadata": {"name": "a"},
        "spec": spec,
    }


def test_good_manifests_have_no_violations():
    backend = {"name": "web", "port": 80}
    assert validate(httproute(rules=[{"backendRefs": [backend]}])) == ()
    assert validate(istio("AuthorizationPolicy")) == ()
    assert validate(istio("DestinationRule", host="web")) == ()


def test_kinds_without_a_schema_are_not_judged():
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": 3}
    assert validate(service) == ()
    assert not default_validator().knows(service)


@pytest.mark.parametrize(
    ("manifest", "path", "words"),
    [
        (httproute(ruels=[]), "spec.ruels", "no field"),
        (httproute(rules=3), "spec.rules", "must be of type array, not integer"),
        (httproute(hostnames=["A"]), "spec.hostnames[0]", "must match"),
        (httproute(parentRefs=[{}]), "spec.parentRefs[0].name", "is required"),
        (
            httproute(rules=[{"backendRefs": [{"name": "w", "port": 0}]}]),
            "spec.rules[0].backendRefs[0].port",
            "must be at least 1",
        ),
        (
            httproute(rules=[{"matches": [{"method": "LIST"}]}]),
            "spec.rules[0].matches[0].method",
            "must be one of GET, HEAD",
        ),
        (httproute(rules=[{}] * 17), "spec.rules", "at most 16"),
        (
            httproute(rules=[{"matches": [{"headers": [{"name": "x", "value": "1"}] * 2}]}]),
            "spec.rules[0].matches[0].headers[1]",
            "the same name as spec.rules[0].matches[0].headers[0]",
        ),
        (
            istio(
                "DestinationRule",
                host="a",
                trafficPolicy={"loadBalancer": {"simple": "RANDOM", "consistentHash": {}}},
            ),
            "spec.trafficPolicy.loadBalancer",
            "only one of simple, consistentHash",
        ),
    ],
)
def test_structure(manifest, path, words):
    found = [reason for where, reason in validate(manifest) if where == path]
    assert found
    assert words in found[0]


@pytest.mark.parametrize(
    ("manifest", "path", "words"),
    [
        (
            httproute(rules=[{"backendRefs": [{"name": "web"}]}]),
            "spec.rules[0].backendRefs[0]",
            "Must have port for Service reference",
        ),
        (
            httproute(rules=[{"matches": [{"path": {"value": "a"}}]}]),
            "spec.rules[0].matches[0].path",
            "must be an absolute path",
        ),
        (
            httproute(rules=[{"timeouts": {"request": "1s", "backendRequest": "2s"}}]),
            "spec.rules[0].timeouts",
            "cannot be longer",
        ),
        (
            httproute(parentRefs=[{"name": "a"}, {"name": "a"}]),
            "spec.parentRefs",
            "must be unique",
        ),
        (
            istio("AuthorizationPolicy", selector={"matchLabels": {"*": "x"}}),
            "spec.selector.matchLabels",
            "wildcard not allowed",
        ),
        (
            istio("RequestAuthentication", jwtRules=[{"issuer": "i", "jwksUri": "ftp://x"}]),
            "spec.jwtRules[0].jwksUri",
            "url must have scheme",
        ),
        (
            istio("RequestAuthentication", jwtRules=[{"issuer": "i", "jwksUri": "nowhere"}]),
            "spec.jwtRules[0].jwksUri",
            "no result",
        ),
    ],
)
def test_rules(manifest, path, words):
    found = [reason for where, reason in validate(manifest) if where == path]
    assert found
    assert words in found[0]


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({}, "metadata.name"),
        ({"name": "A"}, "metadata.name"),
        ({"name": "a", "namespace": "a.b"}, "metadata.namespace"),
        ({"name": "a", "labels": {"a": 1}}, "metadata.labels.a"),
        ({"name": "a", "labels": {"a b": "c"}}, "metadata.labels[a b]"),
        ({"name": "a", "labels": {"x/y": "-"}}, "metadata.labels[x/y]"),
        ({"name": "a", "annotations": []}, "metadata.annotations"),
    ],
)
def test_metadata(metadata, path):
    assert path in {where for where, _ in validate(httproute() | {"metadata": metadata})}


def test_a_cluster_scoped_object_has_no_namespace():
    manifest = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "a", "namespace": "b"},
        "spec": {"controllerName": "example.com/c"},
    }
    assert [path for path, _ in validate(manifest)] == ["metadata.namespace"]


def test_channels_differ_by_the_experimental_fields():
    manifest = httproute(rules=[{"retry": {"attempts": 2}}])
    assert default_validator("experimental").validate(manifest) == ()
    assert default_validator("standard").validate(manifest) == (
        Violation("spec.rules[0].retry", "is no field that the schema knows"),
    )


def test_a_rule_about_the_past_needs_one():
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {"class": {"type": "string"}},
                "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "fixed"}],
            }
        },
    }
    validator = Validator([Definition("x.y", "v1", "Z", True, True, schema)], CelEngine())
    old = {"apiVersion": "x.y/v1", "kind": "Z", "metadata": {"name": "a"}, "spec": {"class": "a"}}
    new = old | {"spec": {"class": "b"}}
    assert validator.validate(new) == ()
    assert validator.validate(old, old) == ()
    assert validator.validate(new, old) == (Violation("spec", "is refused: fixed"),)


def test_every_shipped_rule_compiles_and_every_schema_is_structural():
    engine = CelEngine()
    for name in ("gateway-api-experimental", "gateway-api-standard", "istio"):
        definitions = [each for crd in load_crds(name) for each in read_definitions(crd)]
        assert len(definitions) >= 19
        for definition in definitions:
            compile_rules(definition.schema, engine)


def test_a_broken_rule_is_told_at_compile_time():
    with pytest.raises(RuleError):
        CelEngine().compile("self.size >")


def test_without_the_engine_rules_are_skipped_and_the_rest_is_checked(monkeypatch):
    real_import = builtins.__import__

    def without_cel(name: str, *rest: Any) -> Any:
        if name.startswith("cel_expr_python"):
            raise ImportError(name)
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_cel)
    assert _find_engine() is None
    definitions = [d for crd in load_crds("istio") for d in read_definitions(crd)]
    validator = Validator(definitions, None)
    assert not validator.checks_rules
    assert (
        validator.validate(istio("AuthorizationPolicy", selector={"matchLabels": {"*": "x"}})) == ()
    )
    assert validator.validate(istio("AuthorizationPolicy", action="NO"))


def test_defaults_go_into_absent_fields_and_unwanted_nulls():
    schema = {
        "properties": {
            "a": {"default": 1},
            "b": {"default": 2, "nullable": True},
            "c": {"default": {}, "properties": {"d": {"default": 3}}},
        }
    }
    assert fill_defaults({"a": None, "b": None}, schema) == {"a": 1, "b": None, "c": {"d": 3}}


def test_unknown_fields_are_dropped_unless_they_are_to_be_preserved():
    schema = {
        "properties": {
            "kept": {"x-kubernetes-preserve-unknown-fields": True},
            "map": {"additionalProperties": {"properties": {"a": {}}}},
        }
    }
    value = {"kept": {"x": 1}, "map": {"k": {"a": 1, "b": 2}}, "gone": 1}
    assert drop_unknown(value, schema) == {"kept": {"x": 1}, "map": {"k": {"a": 1}}}


def test_rules_see_declared_fields_under_escaped_names():
    names = ("namespace", "x-y", "a.b", "a/b", "a__b", "plain")
    escaped = [
        "__namespace__",
        "x__dash__y",
        "a__dot__b",
        "a__slash__b",
        "a__underscores__b",
        "plain",
    ]
    assert [escape(name) for name in names] == escaped
    schema = {"properties": {"n": {"type": "number"}, "namespace": {"type": "string"}}}
    assert view({"n": 1, "namespace": "a", "secret": 2}, schema) == {"n": 1.0, "__namespace__": "a"}


def test_validating_changes_nothing():
    manifest = httproute(rules=[{"backendRefs": [{"name": "web", "port": 80}]}])
    before = deepcopy(manifest)
    validate(manifest)
    assert manifest == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
FIELDS = st.sampled_from(["rules", "hostnames", "parentRefs", "selector", "action", "host", "x"])


@settings(max_examples=200, deadline=None)
@given(
    manifest=st.sampled_from([httproute(), istio("AuthorizationPolicy"), istio("ServiceEntry")]),
    metadata=JSON,
    spec=JSON | st.dictionaries(FIELDS, JSON, max_size=3),
)
def test_no_manifest_makes_it_raise(manifest, metadata, spec):
    for each in (manifest | {"spec": spec}, manifest | {"metadata": metadata, "spec": spec}, spec):
        for violation in validate(each):
            assert violation.reason


def test_a_text_that_is_no_utf8_is_a_violation():
    manifest = httproute(rules=[{"matches": [{"path": {"value": "/\ud800"}}]}])
    assert validate(manifest)


def test_shipped_schemas_hold_no_prose():
    for name in ("gateway-api-experimental", "gateway-api-standard", "istio"):
        assert '"description"' not in json.dumps(load_crds(name)).replace('"description": {', "")
