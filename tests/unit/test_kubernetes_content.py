"""Which events of the API server bring something that has a meaning: only those are read."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from translators.resources import Parsed, parse
from translators.resources.metadata import KubernetesObject, ObjectKey
from translators.world import Change
from xds_server.sources.kubernetes.kinds import METADATA, RESOURCES, Resource
from xds_server.sources.kubernetes.replica import OBJECT_BYTES, Replica

GOLDEN = Path(__file__).parents[1] / "golden"
BY_KIND = {each.kind: each for each in RESOURCES}
WITH_STATUS = {"Pod", "Gateway", "ServiceEntry", "WorkloadEntry"}

of_each_kind = pytest.mark.parametrize("resource", RESOURCES, ids=lambda each: each.kind)


class Noted(Mapping[str, Any]):
    """An object that notes which of its fields are asked for."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values_by_name = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.asked.add(name)
        return self.values_by_name[name]

    def __iter__(self) -> Iterator[str]:
        self.asked.update(self.values_by_name)
        return iter(self.values_by_name)

    def __len__(self) -> int:
        return len(self.values_by_name)


def goldens(resource: Resource) -> list[dict[str, Any]]:
    """All objects of a kind in the inputs of golden tests."""
    texts = [path.read_text() for path in sorted(GOLDEN.rglob("input.yaml"))]
    found = [
        one
        for text in texts
        if f"kind: {resource.kind}\n" in text
        for one in yaml.load_all(text, yaml.CSafeLoader)  # it is a safe one
        if one["kind"] == resource.kind
    ]
    plain = {"metadata": {"name": "a"} | ({} if _is_global(resource) else {"namespace": "b"})}
    return [*found, {"apiVersion": resource.api_version(resource.versions[0])} | plain]


def _is_global(resource: Resource) -> bool:
    return resource.kind in ("Namespace", "Node", "GatewayClass")


@of_each_kind
def test_what_has_a_meaning_is_what_is_read(resource: Resource) -> None:
    asked, asked_of_metadata = set[str](), set[str]()
    for manifest in goldens(resource):
        metadata = Noted({"managedFields": [], "ownerReferences": [], **manifest["metadata"]})
        root = Noted(
            {"status": {}, "spec": {}, **manifest, "kind": resource.kind, "metadata": metadata}
        )
        parse(root)
        asked |= root.asked
        asked_of_metadata |= metadata.asked
    assert resource.content is not None
    assert asked - {"apiVersion", "kind", "metadata"} == set(resource.content)
    assert asked_of_metadata <= set(METADATA)


class Reader:
    """Reads as the source does, and counts."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, manifest: dict[str, Any]) -> Parsed:
        self.times += 1
        return parse(manifest)


class Server:
    """Sends one object again and again."""

    def __init__(self, resource: Resource, **spec: object) -> None:
        self.reader = Reader()
        self.replica = Replica(resource, self.reader)
        self.version = resource.versions[0]
        home = {} if _is_global(resource) else {"namespace": "home"}
        self.metadata: dict[str, Any] = {"name": "a", "uid": "u", "generation": 1, **home}
        self.body: dict[str, Any] = {"spec": spec} if spec else {}
        self.revision = 0

    def send(self) -> list[Change]:
        """Send the object as it is now, at a new revision."""
        self.revision += 1
        metadata = self.metadata | {"resourceVersion": str(self.revision)}
        data = msgspec.Raw(json.dumps({"metadata": metadata} | self.body).encode())
        revision, changes = self.replica.put(data, self.version)
        assert revision == str(self.revision)
        return changes


@of_each_kind
def test_another_revision_manager_or_owner_is_not_even_read(resource: Resource) -> None:
    server = Server(resource)
    server.send()
    server.send()
    server.metadata["managedFields"] = [{"manager": "kubectl", "operation": "Update"}]
    server.send()
    server.metadata["ownerReferences"] = [{"uid": "1"}]
    assert server.send() == []
    assert server.reader.times == 1


def test_endpoints_in_another_order_are_not_even_read() -> None:
    server = Server(BY_KIND["EndpointSlice"])
    server.metadata["labels"] = {"kubernetes.io/service-name": "web"}
    endpoints = [{"addresses": [f"10.0.0.{number}"]} for number in range(1, 4)]
    server.body = {"addressType": "IPv4", "endpoints": endpoints, "ports": [{"port": 80}]}
    assert server.send()
    server.body["endpoints"] = endpoints[::-1]
    assert server.send() == []
    assert server.reader.times == 1
    server.body["endpoints"] = [{"addresses": ["10.0.0.9"]}, *endpoints[:0:-1]]
    (change,) = server.send()
    assert change.value is not None
    assert [each.addresses for each in change.value.endpoints] == [  # type: ignore[attr-defined]
        ("10.0.0.9",),
        ("10.0.0.3",),
        ("10.0.0.2",),
    ]


@pytest.mark.parametrize("endpoints", [None, "none", {}, [None, 1]])
def test_endpoints_that_are_no_list_of_objects_are_refused_or_none(endpoints: object) -> None:
    server = Server(BY_KIND["EndpointSlice"])
    server.metadata["labels"] = {"kubernetes.io/service-name": "web"}
    server.body = {"addressType": "IPv4", "endpoints": endpoints}
    thorough = Server(replace(BY_KIND["EndpointSlice"], content=None))
    thorough.metadata, thorough.body = server.metadata, server.body
    assert server.send() == thorough.send()
    assert server.replica.problems() == thorough.replica.problems()


@of_each_kind
def test_a_status_is_read_only_where_it_has_a_meaning(resource: Resource) -> None:
    server = Server(resource)
    server.send()
    server.body["status"] = {"conditions": [{"type": "Ready", "status": "False"}]}
    server.send()
    assert server.reader.times == 1 + (resource.kind in WITH_STATUS)


@of_each_kind
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("labels", {"a": "b"}),
        ("annotations", {"a": "b"}),
        ("generation", 2),
        ("creationTimestamp", "2026-01-01T00:00:00Z"),
        ("deletionTimestamp", "2026-01-01T00:00:00Z"),
    ],
)
def test_metadata_that_has_a_meaning_is_read(resource: Resource, name: str, value: object) -> None:
    server = Server(resource)
    server.send()
    server.metadata[name] = value
    server.send()
    server.send()
    assert server.reader.times == 2


def test_a_change_right_after_an_event_without_meaning_is_seen() -> None:
    server = Server(BY_KIND["Service"], ports=[{"port": 80}])
    assert len(server.send()) == 1
    server.body["status"] = {"loadBalancer": {}}
    assert server.send() == []
    server.body["spec"]["ports"] = [{"port": 81}]
    assert len(server.send()) == 1
    server.body["spec"]["ports"] = [{"port": 80}]
    assert len(server.send()) == 1


def test_a_list_after_an_outage_brings_what_changed_and_only_that() -> None:
    server = Server(BY_KIND["Service"], ports=[{"port": 80}])
    server.send()
    server.replica.begin_list()
    assert server.send() == []
    assert server.replica.end_list() == []
    server.body["spec"]["ports"] = [{"port": 81}]
    server.replica.begin_list()
    assert len(server.send()) == 1
    assert server.replica.end_list() == []


def test_an_equal_object_that_was_created_anew_is_another() -> None:
    server = Server(BY_KIND["Service"], ports=[{"port": 80}])
    server.send()
    server.metadata["uid"] = "v"
    gone, new = server.send()
    assert gone.value is None
    assert new.value is not None
    data = msgspec.Raw(json.dumps({"metadata": server.metadata}).encode())
    assert len(server.replica.remove(data)[1]) == 1
    assert len(server.send()) == 1


def test_a_refused_object_stays_reported_and_is_read_again_once_it_is_another() -> None:
    server = Server(BY_KIND["Service"], ports=[{"port": "http"}])
    assert server.send() == []
    server.metadata["managedFields"] = []
    assert server.send() == []
    assert server.reader.times == 1
    assert [problem.path for problem in server.replica.problems()] == ["spec.ports[0].port"]
    server.body["spec"]["ports"] = [{"port": 80}]
    assert len(server.send()) == 1
    assert server.replica.problems() == []
    server.body["spec"]["ports"] = [{"port": "http"}]
    assert server.send() == []
    assert len(server.replica.problems()) == 1


def test_an_object_that_was_too_large_is_read_again_once_it_is_not() -> None:
    server = Server(BY_KIND["Service"], ports=[{"port": 80}])
    server.send()
    server.metadata["managedFields"] = ["x" * OBJECT_BYTES]
    assert server.send() == []
    assert len(server.replica.problems()) == 1
    del server.metadata["managedFields"]
    assert len(server.send()) == 1
    assert server.replica.problems() == []


def test_of_other_resources_every_revision_is_read() -> None:
    deployments = Resource("apps", "Deployment", "deployments", ("v1",))
    server = Server(deployments, replicas=1)
    server.send()
    server.send()
    assert server.reader.times == 2


_EDITS = st.sampled_from(
    [
        *(("metadata", "uid", value) for value in "uv"),
        *(("metadata", "labels", value) for value in ({}, {"a": "b"}, {"a": 1}, None)),
        *(("metadata", "deletionTimestamp", value) for value in (None, "2026-01-01T00:00:00Z")),
        *(("metadata", "managedFields", value) for value in ([], [{"manager": "x"}])),
        *(("status", "loadBalancer", value) for value in ({}, {"ingress": []})),
        *(("spec", "ports", value) for value in ([{"port": 80}], [{"port": 81}], "bad", [{}])),
        *(("spec", "clusterIP", value) for value in ("None", "10.0.0.1", 5)),
    ]
)


@settings(deadline=None)
@given(st.lists(_EDITS, max_size=30))
def test_all_comes_out_as_if_everything_had_been_read(edits: list[tuple[str, str, Any]]) -> None:
    services = BY_KIND["Service"]
    quick, thorough = Server(services), Server(services)
    thorough.replica = Replica(replace(services, content=None))
    worlds: list[dict[ObjectKey, KubernetesObject | None]] = [{}, {}]
    for part, name, value in edits:
        for server, world in zip((quick, thorough), worlds, strict=True):
            fields = server.metadata if part == "metadata" else server.body.setdefault(part, {})
            fields[name] = value
            world.update((change.key, change.value) for change in server.send())
        assert worlds[0] == worlds[1]
        assert quick.replica.problems() == thorough.replica.problems()
