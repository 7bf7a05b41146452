"""The change log: what a stream is told to look at again."""

from hypothesis import given
from hypothesis import strategies as st

from translators.wire.resource import ResourceKey, TypeUrl
from xds_server.snapshots.change_log import ChangeLog

KEYS = [ResourceKey(TypeUrl.CLUSTER, f"c{number}") for number in range(6)]


def test_nothing_has_changed_since_now() -> None:
    log = ChangeLog()
    log.append(KEYS[:2])

    assert log.since(log.generation) == frozenset()


def test_changes_of_several_generations_are_joined() -> None:
    log = ChangeLog()
    log.append(KEYS[:1])
    seen = log.generation
    log.append(KEYS[1:3])
    log.append(KEYS[2:4])

    assert log.since(seen) == set(KEYS[1:4])


def test_a_reader_that_never_looked_must_look_at_everything() -> None:
    log = ChangeLog()
    log.append(KEYS)

    assert log.since(None) is None


def test_a_change_of_unknown_extent_concerns_those_who_saw_less() -> None:
    log = ChangeLog()
    before = log.generation
    log.append(None)
    after = log.generation
    log.append(KEYS[:1])

    assert log.since(before) is None
    assert log.since(after) == set(KEYS[:1])


def test_at_capacity_the_oldest_is_known_and_beyond_it_is_not() -> None:
    log = ChangeLog(capacity=3)
    start = log.generation
    log.append(KEYS[:2])
    log.append(KEYS[2:3])
    assert log.since(start) == set(KEYS[:3])

    log.append(KEYS[3:4])

    assert log.since(start) is None
    assert log.since(start + 1) == set(KEYS[2:4])


def test_a_change_larger_than_the_log_is_everything() -> None:
    log = ChangeLog(capacity=3)
    start = log.generation
    log.append(KEYS[:4])

    assert log.since(start) is None
    assert log.since(log.generation) == frozenset()


def test_what_nobody_will_ask_for_is_forgotten() -> None:
    log = ChangeLog()
    for key in KEYS:
        log.append([key])

    log.forget(3)

    assert log.since(2) is None
    assert log.since(3) == set(KEYS[3:])
    log.forget(log.generation)
    assert log.since(log.generation - 1) is None
    log.append(KEYS[:1])
    assert log.since(log.generation - 1) == set(KEYS[:1])


def test_what_is_forgotten_makes_room() -> None:
    log = ChangeLog(capacity=3)
    log.append(KEYS[:3])
    log.forget(log.generation)
    seen = log.generation
    log.append(KEYS[:1])
    log.append(KEYS[1:3])

    assert log.since(seen) == set(KEYS[:3])


changes = st.lists(st.none() | st.sets(st.sampled_from(KEYS), max_size=4), max_size=20)


@given(changes, st.integers(1, 8), st.data())
def test_no_change_is_ever_missed(
    history: list[set[ResourceKey] | None], capacity: int, data: st.DataObject
) -> None:
    log = ChangeLog(capacity)
    for changed in history:
        log.append(changed)
    log.forget(data.draw(st.integers(0, len(history))))
    seen = data.draw(st.integers(0, len(history)))

    answer = log.since(seen)

    missed = history[seen:]
    if answer is not None:
        assert None not in missed
        assert answer == set().union(*(changed for changed in missed if changed is not None))
    if not missed:
        assert answer == frozenset()
