"""Which manifests are read, and what every object has."""

from pathlib import Path

import pytest
import yaml

from translators.resources import Parsed, parse
from translators.resources.metadata import ObjectKey

EXAMPLES = Path(__file__).parents[2] / "examples"
KINDS = [
    ("v1", "Namespace"),
    ("v1", "Service"),
    ("v1", "Pod"),
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("gateway.networking.k8s.io/v1beta1", "HTTPRoute"),
    ("security.istio.io/v1", "AuthorizationPolicy"),
    ("security.istio.io/v1beta1", "AuthorizationPolicy"),
]


def manifest(api_version: str, kind: str, **metadata: object) -> dict[str, object]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", **metadata}}


def reasons(parsed: Parsed) -> dict[str, str]:
    return {problem.path: problem.reason for problem in parsed.problems}


@pytest.mark.parametrize(("api_version", "kind"), KINDS)
def test_served_versions_are_read(api_version: str, kind: str) -> None:
    parsed = parse(manifest(api_version, kind))
    namespace = "" if kind == "Namespace" else "default"
    assert parsed.value is not None
    assert parsed.key == parsed.value.key == ObjectKey(kind, namespace, "a")
    assert parsed.problems == ()


def test_other_kinds_are_ignored_without_a_problem() -> None:
    for other in (
        manifest("apps/v1", "Deployment"),
        manifest("v1", "ConfigMap"),
        manifest("networking.istio.io/v1", "Gateway"),
        manifest("serving.knative.dev/v1", "Service"),
    ):
        assert parse(other) == Parsed(None, ignored=True)


@pytest.mark.parametrize(
    ("api_version", "kind", "path"),
    [
        ("gateway.networking.k8s.io/v1", "HttpRoute", "kind"),
        ("security.istio.io/v1", "authorizationpolicy", "kind"),
        ("v1", "AuthorizationPolicy", "apiVersion"),
        ("gateway.networking.k8s.io/v1alpha2", "HTTPRoute", "apiVersion"),
        ("", "Service", "apiVersion"),
    ],
)
def test_near_misses_are_not_ignored(api_version: str, kind: str, path: str) -> None:
    parsed = parse(manifest(api_version, kind))
    assert parsed.value is None
    assert not parsed.ignored
    assert list(reasons(parsed)) == [path]


@pytest.mark.parametrize("value", [None, 5, "text", [], [{}], True, 1.5])
def test_what_is_no_object_is_a_problem(value: object) -> None:
    parsed = parse(value)
    assert parsed.value is None
    assert parsed.key is None
    assert "not an object" in reasons(parsed)[""]


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({"name": ""}, "metadata.name"),
        ({"name": None}, "metadata.name"),
        ({"name": 5}, "metadata.name"),
        ({"name": "Upper"}, "metadata.name"),
        ({"name": "a|b"}, "metadata.name"),
        ({"name": "a" * 254}, "metadata.name"),
        ({"namespace": "a.b"}, "metadata.namespace"),
        ({"namespace": "a" * 64}, "metadata.namespace"),
    ],
)
def test_an_unreadable_name_leaves_no_key(metadata: dict[str, object], path: str) -> None:
    parsed = parse(manifest("v1", "Service") | {"metadata": {"name": "a", **metadata}})
    assert (parsed.value, parsed.key) == (None, None)
    assert list(reasons(parsed)) == [path]


def test_names_are_read_up_to_their_limit() -> None:
    parsed = parse(manifest("v1", "Service", name="a" * 253, namespace="b" * 63))
    assert parsed.key == ObjectKey("Service", "b" * 63, "a" * 253)


def test_bad_labels_break_the_object_but_not_its_name() -> None:
    parsed = parse(manifest("v1", "Namespace", labels={"istio.io/use-waypoint": True, 5: "x"}))
    assert parsed.value is None
    assert parsed.key == ObjectKey("Namespace", "", "a")
    assert reasons(parsed) == {
        "metadata.labels.istio.io/use-waypoint": "is a boolean, not a text",
        "metadata.labels": "has a whole number as a name",
    }


def test_metadata_is_kept_but_for_the_copy_of_the_manifest() -> None:
    parsed = parse(
        manifest(
            "v1",
            "Service",
            labels={"a": "b"},
            annotations={"kubectl.kubernetes.io/last-applied-configuration": "{}", "c": "d\n"},
            uid="u",
            generation=3,
            creationTimestamp="2026-01-01T00:00:00Z",
        )
    )
    assert parsed.value is not None
    meta = parsed.value.meta
    assert (meta.labels, meta.annotations) == ({"a": "b"}, {"c": "d\n"})
    assert (meta.uid, meta.generation, meta.created) == ("u", 3, "2026-01-01T00:00:00Z")


def test_the_examples_are_read_without_a_problem() -> None:
    for path in sorted(EXAMPLES.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            parsed = parse(document)
            assert parsed.problems == (), path
            assert parsed.ignored == (parsed.value is None)
