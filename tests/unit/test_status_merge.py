"""What is applied to an object, given what its status says already."""

import copy
from typing import Any

import pytest

from xds_server.status.merge import MANAGER, Malformed, merge

NOW, THEN = "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"
OURS = "istio.io/gateway-controller"


def condition(kind: str, status: str = "True", time: str = "", message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "lastTransitionTime": time, "message": message}


def live(kind: str, status: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    names = {"name": "x", "namespace": "n", "uid": "u", "resourceVersion": "7"}
    found = {"apiVersion": "v1", "kind": kind, "metadata": names | metadata}
    return found if status is None else {**found, "status": status}


def written_by_us(*keys: str) -> list[dict[str, Any]]:
    fields = {"f:status": {"f:conditions": {f'k:{{"type":"{key}"}}': {} for key in keys}}}
    return [{"manager": MANAGER, "subresource": "status", "fieldsV1": fields}]


def parent(name: str, controller: str = OURS, kind: str = "Service", **more: Any) -> dict[str, Any]:
    reference = {"group": "", "kind": kind, "name": name}
    return {"parentRef": reference, "controllerName": controller, **more}


def test_a_first_status_is_dated_now():
    made = merge("Service", live("Service"), {"conditions": [condition("A")]}, NOW)
    assert made is not None
    assert made["metadata"] == {"name": "x", "namespace": "n", "uid": "u"}
    assert made["status"] == {"conditions": [condition("A", time=NOW)]}


def test_what_is_there_with_others_words_beside_it_is_not_applied():
    there = {"conditions": [condition("Z", time=THEN), condition("A", time=THEN)]}
    assert merge("Service", live("Service", there), {"conditions": [condition("A")]}, NOW) is None


def test_a_time_is_kept_with_the_status_and_else_is_now():
    there = {"conditions": [condition("A", time=THEN), condition("B", "False", THEN)]}
    said = {"conditions": [condition("A", message="new"), condition("B")]}
    made = merge("Service", live("Service", there), said, NOW)
    assert made is not None
    times = [each["lastTransitionTime"] for each in made["status"]["conditions"]]
    assert times == [THEN, NOW]


def test_what_we_wrote_and_say_no_more_is_pruned_by_applying_the_rest():
    there = {"conditions": [condition("A", time=THEN), condition("B", time=THEN)]}
    found = live("Service", there, managedFields=written_by_us("A", "B"))
    made = merge("Service", found, {"conditions": [condition("A")]}, NOW)
    assert made is not None
    assert made["status"] == {"conditions": [condition("A", time=THEN)]}
    emptied = merge("Service", found, None, NOW)
    assert emptied is not None
    assert emptied["status"] == {}


def test_nothing_to_say_about_what_we_never_wrote_is_no_write():
    there = {"conditions": [condition("A", time=THEN)]}
    for kind in ("Service", "Gateway", "HTTPRoute", "AuthorizationPolicy"):
        assert merge(kind, live(kind, there), None, NOW) is None
        assert merge(kind, live(kind), None, NOW) is None


def test_the_conditions_of_a_listener_keep_their_times():
    there = {"listeners": [{"name": "mesh", "conditions": [condition("A", time=THEN)]}]}
    said = {"listeners": [{"name": "mesh", "conditions": [condition("A")]}], "addresses": []}
    assert merge("Gateway", live("Gateway", there), said, NOW) is None
    more = {"listeners": [*said["listeners"], {"name": "b", "conditions": [condition("A")]}]}
    made = merge("Gateway", live("Gateway", there), more, NOW)
    assert made is not None
    first, second = made["status"]["listeners"]
    assert first["conditions"] == [condition("A", time=THEN)]
    assert second["conditions"] == [condition("A", time=NOW)]


def test_parents_of_others_stay_where_they_are():
    foreign = parent("edge", "example.com/edge", "Gateway", conditions=[condition("A", time=THEN)])
    ours = parent("web", conditions=[condition("A", "False", THEN)])
    there = {"parents": [ours, foreign]}
    said = {"parents": [parent("web", conditions=[condition("A")])]}
    found = live("HTTPRoute", there)
    before = copy.deepcopy(found)
    made = merge("HTTPRoute", found, said, NOW)
    assert made is not None
    assert found == before
    assert made["metadata"]["resourceVersion"] == "7"
    mine, other = made["status"]["parents"]
    assert other == foreign
    assert mine == parent("web", conditions=[condition("A", time=NOW)])


def test_a_parent_that_is_gone_goes_only_if_we_wrote_it():
    there = {"parents": [parent("web"), parent("edge", kind="Gateway")]}
    assert merge("HTTPRoute", live("HTTPRoute", there), None, NOW) is None
    made = merge("HTTPRoute", live("HTTPRoute", there), None, NOW, is_ours=True)
    assert made is not None
    assert made["status"]["parents"] == [parent("edge", kind="Gateway")]
    owned = live("HTTPRoute", there, managedFields=written_by_us())
    assert merge("HTTPRoute", owned, None, NOW) == made


def test_two_parents_that_differ_in_their_section_are_two():
    a, b = parent("web"), parent("web")
    b["parentRef"] = {**b["parentRef"], "sectionName": "x"}
    made = merge("HTTPRoute", live("HTTPRoute"), {"parents": [a, b]}, NOW)
    assert made is not None
    assert made["status"]["parents"] == [a, b]


def test_conditions_that_others_say_of_a_policy_stay():
    foreign = condition("ZtunnelAccepted", time=THEN)
    there = {"conditions": [foreign, condition("Programmed", "False", THEN)]}
    said = {"conditions": [condition("WaypointAccepted")], "observedGeneration": 2}
    made = merge("AuthorizationPolicy", live("AuthorizationPolicy", there), said, NOW)
    assert made is not None
    assert made["status"] == {
        "conditions": [foreign, condition("WaypointAccepted", time=NOW)],
        "observedGeneration": 2,
    }


@pytest.mark.parametrize("kind", ["ServiceEntry", "WorkloadEntry"])
def test_what_istio_says_of_an_entry_stays_until_it_is_ours(kind: str):
    istios = condition("istio.io/WaypointBound", "False", THEN)
    other, old = condition("Reconciled", time=THEN), condition("waypost.dev/PortServed", time=THEN)
    found = live(kind, {"conditions": [istios, other, old], "addresses": [1]})
    assert merge(kind, found, None, NOW) is None
    said = {"conditions": [condition("istio.io/WaypointBound")]}
    made = merge(kind, found, said, NOW)
    assert made is not None
    bound = condition("istio.io/WaypointBound", time=NOW)
    assert made["status"] == {"conditions": [other, bound]}
    assert made["metadata"]["resourceVersion"] == "7"
    ended = merge(kind, found, None, NOW, is_ours=True)
    assert ended is not None
    assert ended["status"] == {"conditions": [other]}


@pytest.mark.parametrize("status", [{"parents": {"a": 1}}, {"parents": [3]}, {"parents": 3}, "x"])
def test_a_status_of_another_form_is_told_from_our_own_mistakes(status: Any):
    with pytest.raises(Malformed):
        merge("HTTPRoute", live("HTTPRoute", status), {"parents": [parent("web")]}, NOW)
