"""One change costs one change: which resources are made again, and that nothing else is."""

from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import worlds
from translators.compiler import Compiler
from translators.edition import Farewell
from translators.gateway_api import request_routes
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.core import Service
from translators.resources.gateway import Gateway
from translators.resources.httproute import HttpBackend, HttpRule
from translators.resources.metadata import KubernetesObject, Metadata
from translators.resources.serviceentry import ServiceEntry
from translators.resources.workloadentry import Workload
from translators.wire import Resource, ResourceKey
from translators.world import Change, Reader

FIRST, SECOND = WaypointName("ns-0", "waypoint"), WaypointName("ns-1", "waypoint")
WEB = "http|svc-3.ns-0.svc.cluster.local"


def put(objects: Iterable[KubernetesObject]) -> list[Change]:
    return [Change(found.key, found) for found in objects]


@pytest.fixture
def compiler() -> Compiler:
    made = Compiler(Mesh())
    made.apply(put(worlds.world(2, 5, 3, rules=2)))
    made.resources(FIRST)
    made.resources(SECOND)
    return made


def changed(compiler: Compiler, *objects: KubernetesObject) -> set[str]:
    """Apply objects; the names of what the first waypoint's resources have anew."""
    before = dict(compiler.resources(FIRST))
    elsewhere = dict(compiler.resources(SECOND))
    touched = compiler.apply(put(objects))
    assert touched <= {FIRST}
    assert same_objects(elsewhere, compiler.resources(SECOND))
    after = compiler.resources(FIRST)
    return {key.name for key, made in after.items() if before.get(key) is not made}


def same_objects(before: dict[ResourceKey, Resource], after: dict[ResourceKey, Resource]) -> bool:
    return before.keys() == after.keys() and all(after[key] is made for key, made in before.items())


def test_route_changes_its_table(compiler: Compiler):
    edited = worlds.route("ns-0", 3, 2, prefix="other")
    assert changed(compiler, edited) == {f"inbound-vip|80|{WEB}"}


def test_policy_changes_its_table(compiler: Compiler):
    edited = worlds.policy("ns-0", 3, caller="other")
    assert changed(compiler, edited) == {f"inbound-vip|80|{WEB}"}


def test_endpoints_change_their_assignment(compiler: Compiler):
    moved = list(worlds.slice_of("ns-0", 0, 3, 3, first=7))
    assert changed(compiler, *moved) == {f"inbound-vip|80|{WEB}"}
    assert {
        key.type_url.name
        for key, made in compiler.resources(FIRST).items()
        if b"svc-3-9" in made.body or b"20.0.0.159" in made.body
    } == {"ENDPOINT"}


def test_new_service_changes_what_lists_services(compiler: Compiler):
    assert changed(compiler, worlds.service("ns-0", 0, 9)) == {
        "connect",
        "main_internal",
        "inbound-vip|80|http|svc-9.ns-0.svc.cluster.local",
    }


def test_equal_object_touches_nothing(compiler: Compiler):
    assert compiler.apply(put([worlds.route("ns-0", 3, 2)])) == set()


def test_change_that_means_nothing_changes_nothing(compiler: Compiler):
    """Another generation of the same text: the object differs, what it means does not."""
    assert changed(compiler, *worlds.slice_of("ns-0", 0, 3, 3)) == set()


def test_waypoint_nobody_asked_for_is_not_compiled():
    compiler = Compiler(Mesh())
    assert compiler.apply(put(worlds.world(1, 2, 1))) == set()


def test_steps_do_all_the_work_beforehand():
    compiler = Compiler(Mesh())
    compiler.apply(put(worlds.world(1, 3, 2)))
    steps = sum(1 for _ in compiler.steps(FIRST))
    assert steps >= len(compiler.resources(FIRST))
    assert list(compiler.steps(FIRST)) == []


def test_world_may_change_between_steps():
    compiler = Compiler(Mesh())
    compiler.apply(put(worlds.world(1, 3, 2)))
    steps = compiler.steps(FIRST)
    next(steps)
    compiler.apply(put([worlds.route("ns-0", 0, 2, prefix="late")]))
    for _ in steps:
        pass
    assert compiler.resources(FIRST) == fresh(compiler, worlds.route("ns-0", 0, 2, prefix="late"))


def fresh(_: Compiler, *extra: KubernetesObject) -> dict[ResourceKey, Resource]:
    other = Compiler(Mesh())
    other.apply(put([*worlds.world(1, 3, 2), *extra]))
    return dict(other.resources(FIRST))


EDITS = [
    worlds.service("ns-0", 0, 3),
    worlds.route("ns-0", 1, 3, prefix="x"),
    worlds.route("ns-0", 1, 1),
    worlds.policy("ns-0", 2, caller="y"),
    *worlds.slice_of("ns-0", 0, 0, 2, first=4),
    *worlds.namespace("ns-0", 0, 1, 1, 1),
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(EDITS), st.booleans(), st.booleans()), max_size=12))
def test_incremental_result_equals_a_full_one(edits):
    """Whatever changes in whatever order, looked at or not in between: the bytes are the same."""
    start = list(worlds.world(1, 3, 2))
    incremental, state = Compiler(Mesh()), {found.key: found for found in start}
    incremental.apply(put(start))
    for edit, present, look in edits:
        incremental.apply([Change(edit.key, edit if present else None)])
        state.pop(edit.key, None)
        if present:
            state[edit.key] = edit
        if look:
            incremental.resources(FIRST)
    whole = Compiler(Mesh())
    whole.apply(put(state.values()))
    assert dict(incremental.resources(FIRST)) == dict(whole.resources(FIRST))
    assert incremental.conditions() == whole.conditions()


def test_an_edition_says_what_is_new_in_it(compiler: Compiler):
    before = compiler.edition(FIRST)
    assert compiler.edition(FIRST) is before
    compiler.apply(put([worlds.route("ns-0", 3, 2, prefix="other"), worlds.policy("ns-0", 1, "x")]))
    after = compiler.edition(FIRST)
    assert after.number == before.number + 1
    assert {key.name for key in after.changed} == {
        f"inbound-vip|80|{WEB}",
        "inbound-vip|80|http|svc-1.ns-0.svc.cluster.local",
    }
    for key in {one.key for one in before.snapshot.all()} - after.changed:
        assert after.snapshot.get(key) is before.snapshot.get(key)


def test_what_is_gone_is_new_in_an_edition_too(compiler: Compiler):
    compiler.apply([Change(worlds.service("ns-0", 0, 3).key, None)])
    edition = compiler.edition(FIRST)
    gone = {key for key in edition.changed if edition.snapshot.get(key) is None}
    assert {key.name for key in gone} == {f"inbound-vip|80|{WEB}"}


def test_a_route_that_brings_a_cluster_along_is_no_change_in_place(compiler: Compiler):
    """Its endpoints must be sent as well, so the waypoint is put together again."""
    backend = replace(worlds.route("ns-0", 3, 1).rules[0].backends[0].ref, namespace="ns-1")
    rules = (HttpRule(backends=(HttpBackend(backend),)),)
    grant = worlds.route("ns-0", 3, 1)
    compiler.apply(put([replace(grant, rules=rules)]))
    incremental = dict(compiler.resources(FIRST))
    whole = Compiler(Mesh())
    whole.apply(put(compiler._world.objects()))
    assert incremental == dict(whole.resources(FIRST))


def test_statuses_come_in_small_steps():
    """A leader that has just begun knows nothing yet, and must not hold up what it serves."""
    made, asked = Compiler(Mesh()), 0
    made.apply(put(worlds.world(2, 20, 1, rules=1)))
    translate, judge = made._configs._function, made._judgements._function

    def counting(function: Any) -> Any:
        def call(reader: Reader, key: Any) -> Any:
            nonlocal asked
            asked += 1
            return function(reader, key)

        return call

    made._configs._function = counting(translate)
    made._judgements._function = counting(judge)
    most, total, found = 0, 0, []
    for step in made.status_steps(lambda _condition: ""):
        most, total, asked = max(most, asked), total + asked, 0
        found.append(step)
    assert most == 1
    assert total > 100
    told = [step for step in found if step is not None]
    assert told == list(made.statuses(lambda _condition: ""))
    assert [each.subject.key for each in told] == sorted(each.subject.key for each in told)
    assert {condition for each in told for condition in each.conditions} == {*made.conditions()}


def test_a_world_that_changes_between_steps_breaks_nothing(compiler: Compiler):
    steps = compiler.status_steps(lambda _condition: "")
    for _ in range(5):
        next(steps)
    compiler.apply([Change(found.key, None) for found in worlds.world(1, 5, 3, rules=2)])
    told = [step.subject.key for step in steps if step is not None]
    assert not [key for key in told if key.namespace == "ns-0"]
    assert [key for key in told if key.namespace == "ns-1"]


def test_one_route_of_many_is_made_again_alone(compiler: Compiler, monkeypatch: pytest.MonkeyPatch):
    many = [
        replace(worlds.route("ns-0", 3, 2, prefix=f"p{n}"), meta=Metadata(f"r-{n}", "ns-0"))
        for n in range(60)
    ]
    compiler.apply(put(many))
    compiler.resources(FIRST)
    made = []
    ranked = request_routes.ranked_routes
    monkeypatch.setattr(
        request_routes, "ranked_routes", lambda *given: made.append(given[1]) or ranked(*given)
    )
    edited = replace(many[7], rules=many[8].rules)
    assert changed(compiler, edited) == {f"inbound-vip|80|{WEB}"}
    assert made == [edited]
    fresh = Compiler(Mesh())
    fresh.apply(put([*worlds.world(2, 5, 3, rules=2), *many, edited]))
    assert fresh.resources(FIRST) == compiler.resources(FIRST)


def moved(service: Service, home: str) -> Service:
    labels = {"istio.io/use-waypoint": "waypoint", "istio.io/use-waypoint-namespace": home}
    return replace(service, meta=replace(service.meta, labels=labels))


def lingering() -> Compiler:
    """Two waypoints that admit everybody, of which the first is asked for."""
    made = Compiler(Mesh(), lingers=True)
    made.apply(put(worlds.world(2, 3, 1, rules=1)))
    for home in ("ns-0", "ns-1"):
        gateway = next(
            one for one in worlds.namespace(home, 0, 0, 0, 0) if isinstance(one, Gateway)
        )
        listener = replace(gateway.listeners[0], allowed_from="All")
        made.apply(put([replace(gateway, listeners=(listener,))]))
    made.resources(FIRST)
    made.resources(SECOND)
    return made


def names(compiler: Compiler, waypoint: WaypointName) -> set[tuple[str, str]]:
    return {
        (key.type_url.name, key.name)
        for key in compiler.resources(waypoint)
        if "svc-2.ns-0" in key.name
    }


def answers(compiler: Compiler, waypoint: WaypointName) -> bool:
    (table,) = (one for key, one in compiler.resources(waypoint).items() if key.name == "connect")
    return b"svc-2.ns-0" in table.body


def test_a_service_that_moves_is_parted_with_in_two_steps():
    compiler, service = lingering(), worlds.service("ns-0", 0, 2)
    before = names(compiler, FIRST)
    compiler.apply(put([moved(service, "ns-1")]))
    assert answers(compiler, FIRST)
    assert answers(compiler, SECOND)
    assert compiler.leaving(FIRST) == {service.key: Farewell.HEARD}
    compiler.bid(FIRST, service.key, Farewell.DISMISSED)
    assert not answers(compiler, FIRST)
    assert names(compiler, FIRST) >= before
    assert compiler.leaving(FIRST) == {service.key: Farewell.DISMISSED}
    compiler.bid(FIRST, service.key, Farewell.FORGOTTEN)
    assert names(compiler, FIRST) == set()
    assert compiler.leaving(FIRST) == {}
    assert answers(compiler, SECOND)


def test_a_service_that_comes_back_is_heard_again():
    compiler, service = lingering(), worlds.service("ns-0", 0, 2)
    for _ in range(2):
        compiler.apply(put([moved(service, "ns-1")]))
        compiler.resources(FIRST)
        compiler.bid(FIRST, service.key, Farewell.DISMISSED)
        assert not answers(compiler, FIRST)
        compiler.apply(put([service]))
        assert answers(compiler, FIRST)
        assert compiler.leaving(FIRST) == {}
    whole = Compiler(Mesh())
    whole.apply(put(compiler._world.objects()))
    assert dict(compiler.resources(FIRST)) == dict(whole.resources(FIRST))


def test_what_is_deleted_or_refused_is_forgotten_at_once():
    compiler, service = lingering(), worlds.service("ns-0", 0, 2)
    compiler.apply(put([moved(service, "ns-1")]))
    assert answers(compiler, FIRST)
    compiler.apply([Change(service.key, None)])
    assert names(compiler, FIRST) == set()
    compiler.apply(put([service]))
    assert answers(compiler, FIRST)
    compiler.apply(put([moved(service, "nowhere")]))
    assert names(compiler, FIRST) == set()


def test_one_policy_of_many_is_read_again_alone(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch
):
    meta = [Metadata(f"p-{n}", "ns-0") for n in range(60)]
    many = [replace(worlds.policy("ns-0", 3, caller=one.name), meta=one) for one in meta]
    compiler.apply(put(many))
    compiler.resources(FIRST)
    read = []
    guard = import_module("translators.authorization.guard")  # the package has a function so named
    meaning_of = guard.meaning_of
    monkeypatch.setattr(
        guard, "meaning_of", lambda *given: read.append(given[0]) or meaning_of(*given)
    )
    edited = replace(many[7], rules=many[8].rules)
    assert changed(compiler, edited) == {f"inbound-vip|80|{WEB}"}
    assert read == [edited] * len(edited.rules)
    fresh = Compiler(Mesh())
    fresh.apply(put([*worlds.world(2, 5, 3, rules=2), *many, edited]))
    assert fresh.resources(FIRST) == compiler.resources(FIRST)


def test_what_has_gone_is_not_answered_for_by_another_that_has_its_host():
    compiler, service = lingering(), worlds.service("ns-0", 0, 2)
    labels = {"istio.io/use-waypoint": "waypoint", "istio.io/use-waypoint-namespace": "ns-0"}
    entry = ServiceEntry(
        Metadata("e", "ns-1", labels),
        hosts=("svc-2.ns-0.svc.cluster.local",),
        ports=service.ports,
        resolution="STATIC",
        endpoints=(Workload("6.6.6.6"),),
    )
    compiler.apply(put([entry]))
    compiler.resources(FIRST)
    compiler.apply(put([moved(service, "ns-1")]))
    (table,) = (one for key, one in compiler.resources(FIRST).items() if key.name == "connect")
    assert b"svc-2.ns-0.svc.cluster.local:80" in table.body
    assert f"{service.cluster_ips[0]}:80".encode() not in table.body
