"""What answers of the API server change in what is known of a kind."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from translators.resources.core import Service
from translators.resources.metadata import KubernetesObject, ObjectKey
from translators.world import Change
from xds_server.sources.kubernetes.kinds import RESOURCES
from xds_server.sources.kubernetes.replica import OBJECT_BYTES, Replica

SERVICES = next(resource for resource in RESOURCES if resource.name == "services")
A = ObjectKey("Service", "default", "a")


def manifest(
    name: str = "a", revision: str = "1", uid: str = "u", port: object = 80
) -> dict[str, Any]:
    """A Service as an item of a list: without its kind."""
    metadata = {"name": name, "namespace": "default", "uid": uid, "resourceVersion": revision}
    return {"metadata": metadata, "spec": {"ports": [{"port": port}]}}


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def put(replica: Replica, **fields: Any) -> list[Change]:
    return replica.put(raw(manifest(**fields)), "v1")[1]


def relist(replica: Replica, *values: object) -> list[Change]:
    replica.begin_list()
    changes = [change for value in values for change in replica.put(raw(value), "v1")[1]]
    return [*changes, *replica.end_list()]


@pytest.fixture
def replica() -> Replica:
    return Replica(SERVICES)


def test_an_object_is_passed_on_with_its_revision(replica: Replica) -> None:
    revision, (change,) = replica.put(raw(manifest(revision="12")), "v1")
    assert revision == "12"
    assert change.key == A
    assert isinstance(change.value, Service)
    assert change.value.ports[0].port == 80


def test_the_same_revision_is_no_change(replica: Replica) -> None:
    put(replica, revision="1")
    assert put(replica, revision="1") == []
    assert len(put(replica, revision="2", port=81)) == 1


def test_revisions_may_go_back(replica: Replica) -> None:
    put(replica, revision="9", port=80)
    (change,) = put(replica, revision="3", port=81)
    assert isinstance(change.value, Service)
    assert change.value.ports[0].port == 81


def test_a_list_tells_what_is_gone(replica: Replica) -> None:
    relist(replica, manifest("a"), manifest("b"))
    assert relist(replica, manifest("b")) == [Change(A, None)]


def test_nothing_is_gone_before_the_list_has_ended(replica: Replica) -> None:
    relist(replica, manifest("a"), manifest("b"))
    replica.begin_list()
    assert put(replica, name="b") == []
    assert relist(replica, manifest("a"), manifest("b")) == []


def test_an_object_of_the_same_name_is_another_one(replica: Replica) -> None:
    put(replica, uid="first", revision="1")
    gone, new = put(replica, uid="second", revision="2")
    assert gone == Change(A, None)
    assert new.value is not None
    assert new.value.meta.uid == "second"


def test_a_bad_object_is_kept_apart_and_its_last_good_version_stays(replica: Replica) -> None:
    put(replica, revision="1")
    assert put(replica, revision="2", port="http") == []
    (problem,) = replica.problems()
    assert problem.file == "services"
    assert problem.object == A
    assert problem.path == "spec.ports[0].port"
    assert len(put(replica, revision="3")) == 1
    assert replica.problems() == []


def test_the_last_good_version_of_a_bad_object_goes_with_it(replica: Replica) -> None:
    put(replica, revision="1")
    put(replica, revision="2", port="http")
    assert relist(replica) == [Change(A, None)]
    assert replica.problems() == []


def test_a_bad_object_does_not_live_on_what_another_was(replica: Replica) -> None:
    put(replica, uid="first", revision="1")
    assert put(replica, uid="second", revision="2", port="http") == [Change(A, None)]
    assert relist(replica) == []


def test_an_object_that_was_never_good_is_not_told_to_be_gone(replica: Replica) -> None:
    put(replica, port="http")
    assert relist(replica) == []


def test_a_bad_object_does_not_spoil_its_neighbours(replica: Replica) -> None:
    changes = relist(replica, manifest("a", port="http"), manifest("b"))
    assert [change.key.name for change in changes] == ["b"]


@pytest.mark.parametrize(
    "bad",
    [
        {"metadata": {"name": 5, "namespace": "default"}},
        {"metadata": None},
        "no object",
        {},
    ],
)
def test_while_a_name_can_not_be_read_nothing_is_thought_gone(
    replica: Replica, bad: object
) -> None:
    relist(replica, manifest("a"))
    assert relist(replica, bad) == []
    assert len(replica.problems()) == 1
    assert relist(replica) == [Change(A, None)]
    assert replica.problems() == []


@pytest.mark.parametrize("broken", [b'"\xff"', b'"\\ud800"', b"[" * 5000 + b"]" * 5000])
def test_an_object_that_is_no_text_is_kept_apart(replica: Replica, broken: bytes) -> None:
    head = b'{"metadata":{"name":"a","namespace":"default","uid":"u"},"spec":{"x":'
    assert replica.put(msgspec.Raw(head + broken + b"}}"), "v1")[1] == []
    assert len(replica.problems()) == 1


def test_an_object_that_is_too_large_is_kept_apart(replica: Replica) -> None:
    large = manifest()
    large["spec"]["x"] = "x" * OBJECT_BYTES
    assert replica.put(raw(large), "v1")[1] == []
    (problem,) = replica.problems()
    assert str(OBJECT_BYTES) in problem.reason


def test_a_deleted_object_is_gone_at_the_revision_of_its_deletion(replica: Replica) -> None:
    put(replica)
    assert replica.remove(raw(manifest(revision="5"))) == ("5", [Change(A, None)])
    assert replica.remove(raw(manifest(revision="5"))) == ("5", [])


def test_a_kind_that_is_gone_takes_its_objects_along(replica: Replica) -> None:
    relist(replica, manifest("a"), manifest("b"))
    assert [change.value for change in replica.clear()] == [None, None]
    assert len(replica) == 0


_objects = st.builds(
    manifest,
    st.sampled_from("abc"),
    st.sampled_from(["1", "2", "3"]),
    st.sampled_from(["u1", "u2"]),
    st.sampled_from([80, 81, "bad"]),
)
_steps = st.lists(st.tuples(st.sampled_from(["put", "remove", "list"]), st.lists(_objects)))


@settings(deadline=None)
@given(_steps)
def test_changes_add_up_to_the_last_good_version_of_what_there_is(
    steps: list[tuple[str, list[dict[str, Any]]]],
) -> None:
    replica, sink, model = Replica(SERVICES), dict[ObjectKey, KubernetesObject](), _Model()
    for action, drawn in steps:
        values = _consistent(drawn)
        match action:
            case "put":
                changes = [change for one in values for change in replica.put(raw(one), "v1")[1]]
                model.put(values)
            case "remove":
                changes = [change for one in values for change in replica.remove(raw(one))[1]]
                model.remove(values)
            case _:
                changes = relist(replica, *values)
                model.keep({one["metadata"]["name"] for one in values})
                model.put(values)
        for change in changes:
            if change.value is None:
                del sink[change.key]  # is there: nothing is told to be gone twice
            else:
                sink[change.key] = change.value
        assert {key.name: _essence(value) for key, value in sink.items()} == model.good


def _consistent(values: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One object a name; and one uid and revision always have the same content."""
    unique = {one["metadata"]["name"]: one for one in values}
    for one in unique.values():
        metadata = one["metadata"]
        ports = {"1": 80, "2": 81, "3": "bad"}
        one["spec"]["ports"][0]["port"] = ports[metadata["resourceVersion"]]
    return list(unique.values())


def _essence(value: KubernetesObject) -> tuple[str, object]:
    assert isinstance(value, Service)
    return value.meta.uid, value.ports[0].port


class _Model:
    """The last good version of each object, told in the simplest way."""

    def __init__(self) -> None:
        self.good: dict[str, tuple[str, object]] = {}

    def put(self, values: list[dict[str, Any]]) -> None:
        for one in values:
            name, uid = one["metadata"]["name"], one["metadata"]["uid"]
            port = one["spec"]["ports"][0]["port"]
            if name in self.good and self.good[name][0] != uid:
                del self.good[name]
            if port != "bad":
                self.good[name] = (uid, port)

    def remove(self, values: list[dict[str, Any]]) -> None:
        self.keep(self.good.keys() - {one["metadata"]["name"] for one in values})

    def keep(self, names: set[str]) -> None:
        self.good = {name: value for name, value in self.good.items() if name in names}
