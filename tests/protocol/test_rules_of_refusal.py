"""Rule P25, and batches: a bad resource takes no good one down with it."""

import pytest

from tests.protocol.sessions import ack, ask, ask_all, delta, nack, settle, sotw
from tests.protocol.worlds import (
    CLUSTER,
    ENDPOINT,
    EXTENSION,
    LISTENER,
    ROUTE,
    SECRET,
    drain,
    key,
    named,
    resource,
    snapshot,
)
from translators.wire.resource import Resource, TypeUrl
from translators.wire.snapshot import EMPTY


def test_p25_the_good_part_of_a_refused_response_is_sent_again_at_once() -> None:
    session = delta(resource(CLUSTER, "a"))
    settle(session, ask(session, CLUSTER))
    world = [resource(CLUSTER, "a", "2"), resource(CLUSTER, "b"), resource(CLUSTER, "z")]
    session.update(snapshot(*world), None)
    (mixed,) = drain(session)
    verdict = nack(session, mixed, "Error adding/updating cluster(s) z: no, really, a: is fine")
    assert world[2] in verdict.culprits
    session = delta(*world)
    (mixed,) = ask(session, CLUSTER)
    verdict = nack(session, mixed, "Error adding/updating cluster(s) z: it is bad")
    assert (verdict.resources, verdict.culprits) == (tuple(world), (world[2],))
    (good,) = drain(session)
    assert good.resources == tuple(world[:2])
    ack(session, good)
    session.update(snapshot(resource(CLUSTER, "a")), None)
    back, removal = settle(session, drain(session))
    assert named([back]) == ["a@1"]
    assert "b" in removal.removed


def test_p25_if_nobody_is_blamed_the_suspects_are_tried_one_by_one() -> None:
    world = [resource(SECRET, name) for name in "abc"]
    session = sotw(*world)
    (mixed,) = ask_all(session, SECRET, "a", "b", "c")
    assert nack(session, mixed, "something", *"abc").culprits == ()
    (a,) = drain(session)
    (b,) = ack(session, a, *"abc")
    assert (named([a]), named([b])) == (["a@1"], ["b@1"])
    assert nack(session, b, "something", *"abc").culprits == (world[1],)
    (c,) = drain(session)
    assert named([c]) == ["c@1"]
    assert ack(session, c, *"abc") == []


@pytest.mark.parametrize("type_url", [SECRET, ENDPOINT, EXTENSION, ROUTE])
def test_p25_the_members_of_a_refused_batch_are_sent_again_each_by_itself(
    type_url: TypeUrl,
) -> None:
    world = [resource(type_url, name) for name in "abc"]
    session = delta(*world)
    (mixed,) = ask(session, type_url, *"abc")
    assert named([mixed]) == ["a@1", "b@1", "c@1"]
    assert nack(session, mixed, "something").culprits == ()
    a, b, c = drain(session)
    assert [named([each]) for each in (a, b, c)] == [["a@1"], ["b@1"], ["c@1"]]
    assert ack(session, c) == []
    assert nack(session, b, "something").culprits == (world[1],)
    assert ack(session, a) == []


def test_p25_what_was_refused_last_endangers_no_other_until_a_version_is_accepted() -> None:
    session = delta(*(resource(ROUTE, name) for name in "abc"))
    (mixed,) = ask(session, ROUTE, *"abc")
    nack(session, mixed, "something")
    a, b, c = drain(session)
    ack(session, a), nack(session, b, "something"), ack(session, c)
    session.update(snapshot(*(resource(ROUTE, name, "2") for name in "abc")), None)
    sound, suspect = drain(session)
    assert (named([sound]), named([suspect])) == (["a@2", "c@2"], ["b@2"])
    assert ack(session, suspect) == []
    assert ack(session, sound) == []
    session.update(snapshot(*(resource(ROUTE, name, "3") for name in "abc")), None)
    assert [named([each]) for each in drain(session)] == [["a@3", "b@3", "c@3"]]


def test_what_changes_while_a_batch_is_outstanding_is_taken_together_after_it() -> None:
    session = delta(*(resource(ENDPOINT, name) for name in "abc"))
    (first,) = ask(session, ENDPOINT, *"abc")
    versions = dict.fromkeys("abc", "1")
    for version in "23":
        for name in "ab":
            versions[name] = version
            world = snapshot(*(resource(ENDPOINT, *each) for each in versions.items()))
            session.update(world, {key(ENDPOINT, name)})
            assert drain(session) == []
    (second,) = ack(session, first)
    assert named([second]) == ["a@3", "b@3"]
    assert ack(session, second) == []


def test_a_batch_is_bounded_and_the_rest_follows_its_acknowledgement() -> None:
    body = b"x" * 100_000
    world = [Resource(key(ROUTE, name), body, "1") for name in "abcde"]
    huge = Resource(key(ROUTE, "huge"), 10 * body, "1")
    session = delta(*world, huge)
    (first,) = ask(session, ROUTE, *"abcde", "huge")
    (second,) = ack(session, first)
    (third,) = ack(session, second)
    (fourth,) = ack(session, third)
    assert [len(each.resources) for each in (first, second, third, fourth)] == [2, 2, 1, 1]
    assert ack(session, fourth) == []


@pytest.mark.parametrize("type_url", [CLUSTER, LISTENER])
def test_clusters_and_listeners_are_never_cut(type_url: TypeUrl) -> None:
    body = b"x" * 100_000
    session = delta(*(Resource(key(type_url, name), body, "1") for name in "abcde"))
    assert [len(each.resources) for each in ask(session, type_url)] == [5]


def test_p25_what_may_have_been_applied_is_removed_even_after_a_second_refusal() -> None:
    world = [resource(CLUSTER, "a"), resource(CLUSTER, "z")]
    session = delta(*world)
    (mixed,) = ask(session, CLUSTER)
    nack(session, mixed, "Error adding/updating cluster(s) z: it is bad")
    session.update(snapshot(resource(CLUSTER, "a", "2")), None)
    (again,) = drain(session)
    nack(session, again, "Error adding/updating cluster(s) a: it is bad")
    session.update(EMPTY, None)
    assert "a" in drain(session)[-1].removed
