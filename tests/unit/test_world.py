"""The world answers by index, and says exactly which answers a change touches."""

from hypothesis import given
from hypothesis import strategies as st

from translators.memo import Memo
from translators.resources.core import Namespace, Service
from translators.resources.metadata import Metadata, ObjectKey
from translators.world import Change, Index, Reader, World

BY_TEAM: Index[Service] = Index(
    "service/team", Service, lambda s: [(s.meta.namespace, s.meta.labels.get("team", ""))]
)


def service(name: str, team: str = "a", ip: str = "10.0.0.1") -> Service:
    return Service(Metadata(name, "shop", {"team": team}), cluster_ips=(ip,))


def put(*objects: Service | Namespace) -> list[Change]:
    return [Change(item.key, item) for item in objects]


def test_lookup_by_name_and_by_index():
    world = World([BY_TEAM])
    world.apply(put(service("b"), service("a"), service("c", team="x")))
    reader = Reader(world)
    assert [s.meta.name for s in reader.select(BY_TEAM, "shop", "a")] == ["a", "b"]
    found = reader.get(Service, "shop", "c")
    assert found is not None
    assert found.meta.name == "c"
    assert reader.get(Service, "shop", "missing") is None
    assert reader.questions == {
        ("service/team", "shop", "a"),
        ObjectKey("Service", "shop", "c"),
        ObjectKey("Service", "shop", "missing"),
    }


def test_equal_object_touches_nothing():
    world = World([BY_TEAM])
    world.apply(put(service("a")))
    assert world.apply(put(service("a"))) == set()


def test_moving_between_keys_touches_both():
    world = World([BY_TEAM])
    world.apply(put(service("a", team="old")))
    assert world.apply(put(service("a", team="new"))) == {
        ObjectKey("Service", "shop", "a"),
        ("service/team", "shop", "old"),
        ("service/team", "shop", "new"),
    }
    assert Reader(world).select(BY_TEAM, "shop", "old") == []


def test_removal_empties_every_answer():
    world = World([BY_TEAM])
    world.apply(put(service("a")))
    world.apply([Change(service("a").key, None)])
    assert len(world) == 0
    assert Reader(world).select(BY_TEAM, "shop", "a") == []
    assert world.apply([Change(service("a").key, None)]) == set()


def test_memo_computes_once_until_what_it_read_changes():
    world = World([BY_TEAM])
    world.apply(put(service("a"), service("b", team="x")))
    calls: list[str] = []

    def names(reader: Reader, team: str) -> list[str]:
        calls.append(team)
        return [s.meta.name for s in reader.select(BY_TEAM, "shop", team)]

    memo = Memo(world, names)
    assert (memo("a"), memo("a"), memo("x")) == (["a"], ["a"], ["b"])
    assert calls == ["a", "x"]
    assert memo.invalidate(world.apply(put(service("c")))) == {"a"}
    assert (memo("a"), memo("x")) == (["a", "c"], ["b"])
    assert calls == ["a", "x", "a"]


operations = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", None]), st.sampled_from("12")),
    max_size=20,
)


@given(operations)
def test_memo_equals_full_computation_after_any_changes(steps):
    world = World([BY_TEAM])
    memo = Memo(world, lambda reader, team: reader.select(BY_TEAM, "shop", team))
    for name, team, ip in steps:
        value = service(name, team or "", ip)
        memo.invalidate(world.apply([Change(value.key, value if team else None)]))
        for key in ("x", "y"):
            assert memo(key) == Reader(world).select(BY_TEAM, "shop", key)
