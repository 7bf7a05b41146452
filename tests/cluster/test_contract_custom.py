"""What every API server does with custom resources: definitions, schemas, rules, the status."""

from copy import deepcopy
from typing import Any

import pytest

from tests.cluster import widgets
from tests.cluster.conftest import Kube
from tests.cluster.widgets import widget


@pytest.fixture(autouse=True)
async def definition(kube: Kube) -> None:
    await widgets.define(kube)


async def make(kube: Kube, **spec: Any) -> dict[str, Any]:
    reply = await kube.client.create(widgets.path(kube), widget("a", **spec))
    assert reply.code == 201, reply.body
    return reply.body


async def test_a_defined_kind_is_discovered(kube: Kube) -> None:
    resources = (await kube.client.get(f"/apis/{widgets.VERSION}")).body["resources"]
    found = {each["name"]: each for each in resources}
    assert found.keys() == {"widgets", "widgets/status"}
    assert found["widgets"]["namespaced"] is True
    groups = (await kube.client.get("/apis")).body["groups"]
    assert widgets.GROUP in {group["name"] for group in groups}


async def test_defaults_are_filled_and_unknown_fields_dropped(kube: Kube) -> None:
    made = await make(kube, nonsense=1)
    assert made["spec"] == {"size": 3, "color": "red"}


async def test_strict_validation_refuses_unknown_fields(kube: Kube) -> None:
    reply = await kube.client.create(
        widgets.path(kube), widget("a", nonsense=1), fieldValidation="Strict"
    )
    assert reply.code == 400
    assert 'unknown field "spec.nonsense"' in reply.body["message"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"size": 11}, "spec.size"),
        ({"size": "3"}, "spec.size"),
        ({"color": "pink"}, "spec"),
        ({"parts": [{"name": "x"}, {"name": "x"}]}, "spec.parts[1]"),
        ({"parts": [{"weight": 1}]}, "spec.parts[0].name"),
    ],
)
async def test_what_breaks_the_schema_is_refused(
    kube: Kube, spec: dict[str, Any], field: str
) -> None:
    reply = await kube.client.create(widgets.path(kube), widget("a", **spec))
    assert (reply.code, reply.body["reason"]) == (422, "Invalid")
    assert field in {cause["field"] for cause in reply.body["details"]["causes"]}


async def test_a_rule_about_the_past_judges_updates_only(kube: Kube) -> None:
    await make(kube, **{"class": "x"})
    path = widgets.path(kube, "a")
    refused = await kube.client.merge(path, {"spec": {"class": "y"}})
    assert refused.code == 422
    assert "class is immutable" in refused.body["message"]
    assert (await kube.client.merge(path, {"spec": {"size": 4}})).code == 200


async def test_generation_counts_changes_of_the_spec_alone(kube: Kube) -> None:
    made = await make(kube)
    path = widgets.path(kube, "a")
    assert made["metadata"]["generation"] == 1
    labelled = await kube.client.merge(path, {"metadata": {"labels": {"a": "b"}}})
    assert labelled.body["metadata"]["generation"] == 1
    grown = await kube.client.merge(path, {"spec": {"size": 4}})
    assert grown.body["metadata"]["generation"] == 2
    reported = await kube.client.merge(f"{path}/status", {"status": {"phase": "Ready"}})
    assert reported.body["metadata"]["generation"] == 2


async def test_status_and_spec_are_written_apart(kube: Kube) -> None:
    made = widget("a") | {"status": {"phase": "Ready"}}
    reply = await kube.client.create(widgets.path(kube), made)
    assert "status" not in reply.body
    path = widgets.path(kube, "a")
    both = {"spec": {"size": 5}, "status": {"phase": "Ready"}}
    assert "status" not in (await kube.client.merge(path, both)).body
    body = (await kube.client.merge(f"{path}/status", both | {"spec": {"size": 6}})).body
    assert (body["spec"]["size"], body["status"]) == (5, {"phase": "Ready"})
    replaced = await kube.client.replace(f"{path}/status", body | {"status": {"phase": "Gone"}})
    assert replaced.body["status"] == {"phase": "Gone"}
    stale = await kube.client.replace(f"{path}/status", body)
    assert stale.code == 409


async def test_a_replace_needs_a_version(kube: Kube) -> None:
    await make(kube)
    assert (await kube.client.replace(widgets.path(kube, "a"), widget("a"))).code == 422


async def test_a_kind_goes_with_its_definition(kube: Kube) -> None:
    if kube.fake is None:
        pytest.skip("other tests use the definition on this server")
    await make(kube)
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    async with kube.client.watch(widgets.path(kube), timeoutSeconds=5) as watch:
        assert await watch.next_change() == ("ADDED", "a")
        assert (await kube.client.delete(f"{crds}/{widgets.NAME}")).code == 200
        assert await watch.next_change() == ("DELETED", "a")
    assert (await kube.client.get(widgets.path(kube))).code == 404


async def test_a_definition_with_a_bad_name_or_rule_is_refused(kube: Kube) -> None:
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    misnamed = widgets.CRD | {"metadata": {"name": "gadgets.contract.waypost.test"}}
    assert (await kube.client.create(crds, misnamed)).code == 422
    broken = deepcopy(widgets.CRD)
    broken["metadata"]["name"] = "gadgets.contract.waypost.test"
    broken["spec"]["names"] = {"kind": "Gadget", "plural": "gadgets"}
    schema = broken["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["x-kubernetes-validations"] = [{"rule": "self.size >"}]
    assert (await kube.client.create(crds, broken)).code == 422
