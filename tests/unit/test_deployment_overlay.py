"""Overlays: what users want to have otherwise, and what they may not."""

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.deployment import DeploymentSettings, InvalidParameters, deployed, overlays
from translators.deployment.overlay import merge
from translators.deployment.parameters import KEYS
from translators.ir.waypoint import Mesh
from translators.resources.gateway import Gateway, GatewayListener
from translators.resources.metadata import Metadata
from xds_server.deployment.live import obstacle, says, stamped

GATEWAY = Gateway(
    Metadata("waypoint", "shop", uid="1"),
    class_name="istio-waypoint",
    listeners=(GatewayListener("mesh", 15008, "HBONE"),),
)


def config_map(**data: str) -> dict[str, Any]:
    return {"metadata": {"name": "params"}, "data": data}


def made(**data: str) -> dict[str, Any]:
    found = deployed(
        Mesh(), DeploymentSettings("xds:1"), GATEWAY, overlays([config_map(**data)] if data else [])
    )
    return {each["kind"]: each for each in found}


@pytest.mark.parametrize(
    ("base", "patch", "result"),
    [
        ({"a": 1, "b": 2}, {"a": None, "c": 3}, {"b": 2, "c": 3}),
        ({"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
        ({"a": {"x": 1}}, {"a": {"$patch": "replace", "y": 2}}, {"a": {"y": 2}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        (
            {"env": [{"name": "x", "value": "1"}, {"name": "y"}]},
            {"env": [{"name": "x", "value": "2"}, {"name": "z"}]},
            {"env": [{"name": "x", "value": "2"}, {"name": "y"}, {"name": "z"}]},
        ),
        (
            {"env": [{"name": "x"}, {"name": "y"}]},
            {"env": [{"name": "x", "$patch": "delete"}]},
            {"env": [{"name": "y"}]},
        ),
        (
            {"env": [{"name": "x"}]},
            {"env": [{"$patch": "replace"}, {"name": "z"}]},
            {"env": [{"name": "z"}]},
        ),
        (
            {"ports": [{"port": 53, "protocol": "TCP", "name": "a"}]},
            {"ports": [{"port": 53, "protocol": "UDP", "name": "b"}, {"port": 53, "name": "c"}]},
            {
                "ports": [
                    {"port": 53, "protocol": "TCP", "name": "c"},
                    {"port": 53, "protocol": "UDP", "name": "b"},
                ]
            },
        ),
        ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "b"}]}, None),
    ],
)
def test_merges_as_the_api_server_does(
    base: dict[str, Any], patch: dict[str, Any], result: dict[str, Any] | None
):
    assert merge(base, patch) == (patch if result is None else result)


def test_changes_neither_of_the_two():
    base: dict[str, Any] = {"env": [{"name": "x", "value": "1"}], "a": {"b": 1}}
    merge(base, {"env": [{"name": "x", "value": "2"}], "a": {"b": None}})
    assert base == {"env": [{"name": "x", "value": "1"}], "a": {"b": 1}}


@pytest.mark.parametrize(
    ("pod", "field"),
    [
        ("{serviceAccountName: admin}", "serviceAccountName"),
        ("{serviceAccountName: null}", "serviceAccountName"),
        ("{serviceAccount: admin}", "serviceAccount"),
        ("{hostNetwork: true}", "hostNetwork"),
        ("{hostPID: true}", "hostPID"),
        ("{volumes: [{name: a, hostPath: {path: /}}]}", "volumes[a].hostPath"),
        (
            "{containers: [{name: istio-proxy, securityContext: {privileged: true}}]}",
            "containers[istio-proxy].securityContext.privileged",
        ),
        (
            "{initContainers: [{name: a, securityContext: {capabilities: {add: [SYS_ADMIN]}}}]}",
            "initContainers[a].securityContext.capabilities.add",
        ),
        ("{containers: [{name: a, ports: [{containerPort: 1, hostPort: 1}]}]}", "ports.hostPort"),
    ],
)
def test_gives_a_pod_neither_another_identity_nor_its_node(pod: str, field: str):
    with pytest.raises(InvalidParameters, match="must not change") as caught:
        made(deployment=f"spec: {{template: {{spec: {pod}}}}}")
    assert field in str(caught.value)


@pytest.mark.parametrize(
    ("key", "text", "reason"),
    [
        ("deployment", "spec: [", "no YAML"),
        ("deployment", "- a", "no object"),
        ("deployment", "1: a", "no object of JSON"),
        ("deployment", 'spec: {a: "\\ud800"}', "no object of JSON"),
        ("deployment", '"\\udfff": a', "no object of JSON"),
        ("deployment", "a: &x {}\nb: *x", "aliases"),
        ("deployment", "[" * 5000, "no YAML"),
        ("deployments", "{}", "none of deployment"),
        ("deployment", "$retainKeys: [a]", "not supported"),
        ("deployment", "$patch: delete", "can't be used"),
        ("deployment", "spec: {template: {spec: {containers: [{image: a}]}}}", "has no name"),
        ("deployment", "metadata: {name: other}", "metadata.name"),
        ("deployment", "metadata: {namespace: other}", "metadata.namespace"),
        ("deployment", "metadata: {labels: {gateway.istio.io/managed: me}}", "metadata.labels"),
        ("deployment", "metadata: {ownerReferences: [{uid: x}]}", "metadata.ownerReferences"),
        ("deployment", "spec: {selector: {matchLabels: {a: b}}}", "spec.selector"),
        ("deployment", "spec: {template: {metadata: {labels: null}}}", "spec.template.metadata"),
        ("service", "spec: {selector: {app: mine}}", "spec.selector"),
        ("service", "kind: Pod", "kind"),
        ("service", "metadata: {annotations: [a]}", "metadata.annotations"),
        ("service", "metadata: {annotations: {a: 1}}", "metadata.annotations"),
        ("service", "metadata: {labels: x}", "metadata.labels"),
        ("service", "metadata: null", "metadata"),
        ("deployment", "spec: []", "spec"),
        ("horizontalPodAutoscaler", "spec: {scaleTargetRef: {name: other}}", "scaleTargetRef"),
    ],
)
def test_refuses_what_would_do_something_else(key: str, text: str, reason: str):
    with pytest.raises(InvalidParameters) as caught:
        made(**{key: text})
    assert reason in str(caught.value)
    assert key in str(caught.value) or "$" in text or "containers" in text


_NAMES = st.sampled_from(
    [
        *("metadata", "spec", "labels", "annotations", "template", "containers", "ports", "env"),
        *("port", "protocol", "containerPort"),
        *("name", "selector", "matchLabels", "$patch", "ownerReferences", "uid", "volumes", "x"),
    ]
)
_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "delete", "replace", "\ud800"])
)
_PATCHES = st.dictionaries(
    _NAMES,
    st.recursive(
        _SCALARS, lambda inner: st.lists(inner) | st.dictionaries(_NAMES, inner), max_leaves=20
    ),
)


@given(key=st.sampled_from(sorted(KEYS)), patch=_PATCHES)
def test_whatever_is_asked_for_is_merged_or_refused(key: str, patch: dict[str, Any]):
    with suppress(InvalidParameters):
        found = made(**{key: json.dumps(patch)})
        for each in found.values():
            again = stamped(each)
            assert says(again, again)
            assert obstacle(again, again) == ""


@pytest.mark.parametrize("protocol", ["{a: b}", "[1]", "null", "5"])
def test_ports_of_an_odd_protocol_are_merged(protocol: str):
    """It is for the API server to refuse them; no other waypoint may suffer from it."""
    found = made(service=f"spec: {{ports: [{{port: 80, protocol: {protocol}}}]}}")
    for each in found.values():
        assert says(stamped(each), stamped(each))


def test_a_type_of_services_that_does_not_exist_is_refused():
    annotations = {"networking.istio.io/service-type": "Clusterip"}
    odd = replace(GATEWAY, meta=replace(GATEWAY.meta, annotations=annotations))
    with pytest.raises(InvalidParameters, match="Clusterip"):
        deployed(Mesh(), DeploymentSettings("xds:1"), odd, overlays([]))


def test_optional_objects_are_there_if_asked_for():
    assert made().keys() == {"ServiceAccount", "Service", "Deployment"}
    asked = made(podDisruptionBudget="spec: {minAvailable: 1}")
    assert asked["PodDisruptionBudget"]["spec"]["minAvailable"] == 1


def test_what_looks_like_a_date_stays_a_text():
    annotated = made(service="metadata: {annotations: {day: 2026-01-01}}")["Service"]
    assert annotated["metadata"]["annotations"]["day"] == "2026-01-01"
