"""What every API server does in a server-side apply: ownership, conflicts, force, pruning."""

from typing import Any

import pytest

from tests.cluster import widgets
from tests.cluster.conftest import Kube
from tests.cluster.widgets import widget
from tests.support.kubeapi.client import Reply


@pytest.fixture(autouse=True)
async def definition(kube: Kube) -> None:
    await widgets.define(kube)


async def apply(
    kube: Kube, manager: str, query: dict[str, Any] | None = None, **spec: Any
) -> Reply:
    manifest = widget("a") | {"spec": spec}
    return await kube.client.apply(widgets.path(kube, "a"), manifest, manager, **(query or {}))


def owned(reply: Reply, manager: str, operation: str = "Apply") -> Any:
    """The fields of a manager."""
    entries = reply.body["metadata"].get("managedFields", [])
    found = [e for e in entries if (e["manager"], e["operation"]) == (manager, operation)]
    return found[0]["fieldsV1"] if found else None


async def test_creates_once_and_changes_nothing_the_second_time(kube: Kube) -> None:
    first = await apply(kube, "one", size=3)
    second = await apply(kube, "one", size=3)
    assert (first.code, second.code) == (201, 200)
    assert first.version == second.version
    assert owned(first, "one") == {"f:spec": {"f:size": {}}}
    assert first.body["spec"]["color"] == "red"


async def test_needs_a_manager(kube: Kube) -> None:
    reply = await kube.client.request(
        "PATCH", widgets.path(kube, "a"), widget("a"), kind="application/apply-patch+yaml"
    )
    assert reply.code in (400, 422)


async def test_another_managers_field_conflicts_until_forced(kube: Kube) -> None:
    await apply(kube, "one", size=3)
    refused = await apply(kube, "two", size=4)
    assert (refused.code, refused.body["reason"]) == (409, "Conflict")
    cause = refused.body["details"]["causes"][0]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".spec.size")
    assert "one" in cause["message"]
    taken = await apply(kube, "two", {"force": "true"}, size=4)
    assert taken.body["spec"]["size"] == 4
    assert owned(taken, "one") is None
    assert owned(taken, "two") == {"f:spec": {"f:size": {}}}


async def test_an_equal_value_is_owned_together(kube: Kube) -> None:
    await apply(kube, "one", size=3)
    shared = await apply(kube, "two", size=3, color="blue")
    assert shared.code == 200
    assert owned(shared, "one") == {"f:spec": {"f:size": {}}}
    assert owned(shared, "two") == {"f:spec": {"f:color": {}, "f:size": {}}}


async def test_a_field_that_is_applied_no_longer_goes_unless_someone_else_owns_it(
    kube: Kube,
) -> None:
    await apply(kube, "one", **{"size": 3, "class": "x", "color": "blue"})
    await apply(kube, "two", size=3, color="blue")
    left = await apply(kube, "one", size=3)
    assert left.body["spec"] == {"size": 3, "color": "blue"}
    alone = await apply(kube, "two", size=3)
    assert alone.body["spec"] == {"size": 3, "color": "red"}  # the default again


async def test_items_of_a_keyed_list_are_owned_one_by_one(kube: Kube) -> None:
    await apply(kube, "one", size=3, parts=[{"name": "x", "weight": 1}])
    both = await apply(kube, "two", size=3, parts=[{"name": "y"}, {"name": "x", "unit": "kg"}])
    parts = {part["name"]: part for part in both.body["spec"]["parts"]}
    assert parts == {"x": {"name": "x", "weight": 1, "unit": "kg"}, "y": {"name": "y"}}
    mine = owned(both, "two")["f:spec"]["f:parts"]
    assert mine == {
        'k:{"name":"x"}': {".": {}, "f:name": {}, "f:unit": {}},
        'k:{"name":"y"}': {".": {}, "f:name": {}},
    }
    left = await apply(kube, "two", size=3)
    assert left.body["spec"]["parts"] == [{"name": "x", "weight": 1}]
    refused = await apply(kube, "two", size=3, parts=[{"name": "x", "weight": 2}])
    assert refused.code == 409


async def test_an_update_takes_fields_without_asking(kube: Kube) -> None:
    await apply(kube, "one", size=3)
    patched = await kube.client.merge(
        widgets.path(kube, "a"), {"spec": {"size": 4}}, fieldManager="hand"
    )
    assert owned(patched, "one") is None
    assert owned(patched, "hand", "Update") == {"f:spec": {"f:size": {}}}
    assert (await apply(kube, "one", size=3)).code == 409


async def test_the_status_is_applied_on_its_own(kube: Kube) -> None:
    await apply(kube, "one", size=3)
    path = f"{widgets.path(kube, 'a')}/status"
    manifest = widget("a") | {"spec": {"size": 9}, "status": {"phase": "Ready"}}
    applied = await kube.client.apply(path, manifest, "controller")
    assert (applied.body["spec"]["size"], applied.body["status"]) == (3, {"phase": "Ready"})
    entry = next(
        e for e in applied.body["metadata"]["managedFields"] if e["manager"] == "controller"
    )
    assert (entry["subresource"], entry["fieldsV1"]) == (
        "status",
        {"f:status": {"f:phase": {}}},
    )
    await apply(kube, "one", size=4)
    assert (await kube.client.get(widgets.path(kube, "a"))).body["status"] == {"phase": "Ready"}


async def test_ports_of_a_service_are_keyed_by_port_and_protocol(kube: Kube) -> None:
    def service(*ports: dict[str, Any]) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web"},
            "spec": {"selector": {"app": "web"}} | ({"ports": list(ports)} if ports else {}),
        }

    path = kube.core("services", "web")
    await kube.client.apply(path, service({"port": 80, "name": "http"}), "one")
    mine = service({"port": 443, "name": "https"})
    both = await kube.client.apply(path, mine, "two")
    assert {port["port"] for port in both.body["spec"]["ports"]} == {80, 443}
    keys = set(owned(both, "two")["f:spec"]["f:ports"])
    assert keys == {'k:{"port":443,"protocol":"TCP"}'}
    left = await kube.client.apply(path, service(), "one")
    assert [port["port"] for port in left.body["spec"]["ports"]] == [443]
