"""The snapshot store: feeds, last known good, quarantine and healing."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.resources import cluster, listener, route, snapshot
from translators.ir.waypoint import WaypointName
from translators.wire.resource import Resource, ResourceKey
from xds_server.protocol import Rejected
from xds_server.snapshots import Feed, Observer, ProxyKey, SnapshotStore

SHOP = WaypointName("shop", "waypoint")
BANK = WaypointName("bank", "waypoint")
KEY = ProxyKey(SHOP, "0.0.0.0:15008")
SECOND_BIND = ProxyKey(SHOP, "127.0.0.2:15008")
FOREIGN = ProxyKey(BANK, "0.0.0.0:15008")


def refusal(*culprits: Resource, message: str = "bad") -> Rejected:
    return Rejected(culprits[0].key.type_url, culprits, message, culprits)


class Streams:
    """Feeds that are closed at the end of the test, and who was woken."""

    def __init__(self, store: SnapshotStore, exits: ExitStack) -> None:
        self.store = store
        self.exits = exits
        self.woken: list[ProxyKey] = []

    def open(self, key: ProxyKey = KEY) -> Feed:
        return self.exits.enter_context(
            self.store.attach(key, lambda: self.woken.append(key)),
        )


class Journal(Observer):
    def __init__(self) -> None:
        self.events: list[tuple[str, object]] = []

    def attached(self, key: ProxyKey) -> None:
        self.events.append(("attached", key))

    def detached(self, key: ProxyKey) -> None:
        self.events.append(("detached", key))

    def rejections_changed(self, waypoint: WaypointName) -> None:
        self.events.append(("rejections", waypoint))


@pytest.fixture
def store() -> SnapshotStore:
    return SnapshotStore()


@pytest.fixture
def streams(store: SnapshotStore) -> Iterator[Streams]:
    with ExitStack() as exits:
        yield Streams(store, exits)


def served(feed: Feed, key: ResourceKey) -> Resource | None:
    assert feed.snapshot is not None
    return feed.snapshot.get(key)


def test_before_the_first_publication_there_is_nothing_not_even_emptiness(streams: Streams) -> None:
    feed = streams.open()

    assert feed.snapshot is None
    assert feed.take() is None


def test_a_stream_first_looks_at_everything_then_at_what_changed(streams: Streams) -> None:
    feed = streams.open()
    a, b = cluster("a"), cluster("b")
    streams.store.publish(KEY, snapshot(a), [a.key])
    first = feed.take()
    streams.store.publish(KEY, snapshot(a, b), [b.key])
    second = feed.take()

    assert first is not None
    assert first.changed is None
    assert second is not None
    assert second.changed == {b.key}
    assert second.snapshot.get(b.key) == b
    assert feed.take() is None
    assert streams.woken == [KEY, KEY]


def test_a_stream_that_comes_late_looks_at_everything(streams: Streams) -> None:
    streams.open()
    streams.store.publish(KEY, snapshot(cluster("a")), [cluster("a").key])
    late = streams.open().take()

    assert late is not None
    assert late.changed is None


def test_what_every_stream_has_seen_is_remembered_no_more(streams: Streams) -> None:
    fast, slow = streams.open(), streams.open()
    streams.store.publish(KEY, snapshot(), None)
    known = []
    for content in "12345":
        fast.take()
        if content < "4":
            slow.take()
        streams.store.publish(KEY, snapshot(cluster(content)), [cluster(content).key])
        known.append(len(fast._served.log._entries))
    assert known == [1, 1, 1, 2, 3]


def test_a_slow_stream_takes_the_latest_and_all_that_it_missed(streams: Streams) -> None:
    feed = streams.open()
    streams.store.publish(KEY, snapshot(), None)
    feed.take()
    for content in "123":
        streams.store.publish(KEY, snapshot(cluster(content)), [cluster(content).key])
    update = feed.take()

    assert update is not None
    assert update.changed == {cluster(content).key for content in "123"}
    assert update.snapshot.resources == snapshot(cluster("3")).resources


def test_a_publication_reaches_its_own_key_alone(streams: Streams) -> None:
    other, foreign = streams.open(SECOND_BIND), streams.open(FOREIGN)
    streams.open()
    streams.store.publish(KEY, snapshot(cluster("a")), None)

    assert other.snapshot is None
    assert foreign.snapshot is None
    assert streams.woken == [KEY]


def test_a_publication_that_nobody_follows_is_dropped(streams: Streams) -> None:
    streams.store.publish(KEY, snapshot(cluster("a")), None)

    assert streams.store.served(KEY) is None
    assert streams.open().snapshot is None


def test_refused_content_is_replaced_by_the_last_accepted_for_old_and_new_streams(
    streams: Streams,
) -> None:
    feed = streams.open()
    good, bad = route("r", "good"), route("r", "bad")
    streams.store.publish(KEY, snapshot(good), None)
    streams.store.acknowledge(KEY, [good])
    streams.store.publish(KEY, snapshot(bad), [bad.key])
    feed.take()
    streams.store.reject(KEY, refusal(bad, message="no such filter"))

    update = feed.take()
    assert update is not None
    assert update.changed == {bad.key}
    assert served(feed, bad.key) == good
    assert served(streams.open(), bad.key) == good
    [rejection] = streams.store.rejections(SHOP)
    assert (rejection.key, rejection.version) == (bad.key, bad.version)
    assert rejection.message == "no such filter"
    assert rejection.origins == bad.origins


def test_last_good_outlives_the_last_stream(streams: Streams, store: SnapshotStore) -> None:
    good, bad = route("r", "good"), route("r", "bad")
    with store.attach(KEY, lambda: None):
        store.publish(KEY, snapshot(good), None)
        store.acknowledge(KEY, [good])
        store.publish(KEY, snapshot(bad), None)
        store.reject(KEY, refusal(bad))
    assert store.rejections(SHOP) == ()
    feed = streams.open()
    store.publish(KEY, snapshot(bad), None)

    assert served(feed, bad.key) == good
    assert len(store.rejections(SHOP)) == 1


def test_changed_content_heals(streams: Streams) -> None:
    feed = streams.open()
    good, bad, better = route("r", "good"), route("r", "bad"), route("r", "better")
    streams.store.publish(KEY, snapshot(good), None)
    streams.store.acknowledge(KEY, [good])
    streams.store.publish(KEY, snapshot(bad), [bad.key])
    streams.store.reject(KEY, refusal(bad))
    streams.store.publish(KEY, snapshot(better), [bad.key])

    assert served(feed, bad.key) == better
    assert streams.store.rejections(SHOP) == ()


def test_refused_content_that_comes_back_is_still_known(streams: Streams) -> None:
    feed = streams.open()
    good, bad = route("r", "good"), route("r", "bad")
    streams.store.publish(KEY, snapshot(bad), None)
    streams.store.reject(KEY, refusal(bad))
    streams.store.publish(KEY, snapshot(good), [bad.key])
    streams.store.acknowledge(KEY, [good])
    streams.store.publish(KEY, snapshot(bad), [bad.key])

    assert served(feed, bad.key) == good


def test_without_a_last_good_the_content_stays_so_that_nobody_is_told_to_delete(
    streams: Streams,
) -> None:
    feed = streams.open()
    bad = listener("l", "bad")
    streams.store.publish(KEY, snapshot(bad), None)
    feed.take()
    streams.store.reject(KEY, refusal(bad))

    assert served(feed, bad.key) == bad
    assert feed.take() is None
    assert [each.key for each in streams.store.rejections(SHOP)] == [bad.key]


def test_content_that_one_envoy_accepted_is_not_taken_from_the_others(streams: Streams) -> None:
    feed = streams.open()
    old, new = route("r", "old"), route("r", "new")
    streams.store.publish(KEY, snapshot(old), None)
    streams.store.acknowledge(KEY, [old])
    streams.store.publish(KEY, snapshot(new), [new.key])
    streams.store.acknowledge(KEY, [new])
    streams.store.reject(KEY, refusal(new))

    assert served(feed, new.key) == new
    assert streams.store.rejections(SHOP) == ()


def test_an_acceptance_after_a_refusal_lifts_the_quarantine(streams: Streams) -> None:
    feed = streams.open()
    old, new = route("r", "old"), route("r", "new")
    streams.store.publish(KEY, snapshot(old), None)
    streams.store.acknowledge(KEY, [old])
    streams.store.publish(KEY, snapshot(new), [new.key])
    streams.store.reject(KEY, refusal(new))
    assert served(feed, new.key) == old
    feed.take()
    streams.store.acknowledge(KEY, [new])

    assert served(feed, new.key) == new
    update = feed.take()
    assert update is not None
    assert update.changed == {new.key}


def test_a_late_acceptance_of_older_content_does_not_displace_the_wanted(streams: Streams) -> None:
    streams.open()
    old, new = route("r", "old"), route("r", "new")
    streams.store.publish(KEY, snapshot(new), None)
    streams.store.acknowledge(KEY, [new])
    streams.store.acknowledge(KEY, [old])
    streams.store.reject(KEY, refusal(new))

    assert streams.store.rejections(SHOP) == ()


def test_last_good_is_shared_between_the_binds_of_a_waypoint_but_not_a_listener(
    streams: Streams,
) -> None:
    streams.open()
    second = streams.open(SECOND_BIND)
    good, bad = route("r", "good"), route("r", "bad")
    here, there = listener("connect_terminate", "first"), listener("connect_terminate", "second")
    streams.store.publish(KEY, snapshot(good, here), None)
    streams.store.acknowledge(KEY, [good, here])
    streams.store.publish(SECOND_BIND, snapshot(bad, there), None)
    streams.store.reject(SECOND_BIND, refusal(bad))
    streams.store.reject(SECOND_BIND, refusal(there))

    assert served(second, bad.key) == good
    assert served(second, there.key) == there


def test_nothing_is_shared_between_waypoints(streams: Streams) -> None:
    streams.open()
    foreign = streams.open(FOREIGN)
    good, bad = route("r", "good"), route("r", "bad")
    streams.store.publish(KEY, snapshot(good), None)
    streams.store.acknowledge(KEY, [good])
    streams.store.publish(FOREIGN, snapshot(bad), None)
    streams.store.reject(FOREIGN, refusal(bad))

    assert served(foreign, bad.key) == bad
    assert streams.store.rejections(SHOP) == ()
    assert len(streams.store.rejections(BANK)) == 1


def test_a_deleted_resource_leaves_no_last_good_behind(streams: Streams) -> None:
    feed = streams.open()
    good, bad = route("r", "good"), route("r", "bad")
    streams.store.publish(KEY, snapshot(good), None)
    streams.store.acknowledge(KEY, [good])
    streams.store.publish(KEY, snapshot(), [good.key])
    streams.store.acknowledge(KEY, [good])
    streams.store.publish(KEY, snapshot(bad), [bad.key])
    streams.store.reject(KEY, refusal(bad))

    assert served(feed, bad.key) == bad


def test_a_refusal_without_a_culprit_changes_nothing(streams: Streams) -> None:
    feed = streams.open()
    old, new = route("r", "old"), route("r", "new")
    streams.store.publish(KEY, snapshot(old), None)
    streams.store.acknowledge(KEY, [old])
    streams.store.publish(KEY, snapshot(new), None)
    streams.store.reject(KEY, Rejected(new.key.type_url, (new,), "unclear", ()))

    assert served(feed, new.key) == new
    assert streams.store.rejections(SHOP) == ()


def test_a_refusal_leaves_the_other_resources_alone(streams: Streams) -> None:
    feed = streams.open()
    old, new, other = route("r", "old"), route("r", "new"), route("other")
    streams.store.publish(KEY, snapshot(old, other), None)
    streams.store.acknowledge(KEY, [old, other])
    streams.store.publish(KEY, snapshot(new, other), None)
    streams.store.reject(KEY, refusal(new))

    assert served(feed, other.key) == other


def test_refused_versions_of_one_resource_are_bounded(streams: Streams) -> None:
    feed = streams.open()
    good = route("r", "good")
    streams.store.publish(KEY, snapshot(good), None)
    streams.store.acknowledge(KEY, [good])
    for number in range(20):
        bad = route("r", f"bad{number}")
        streams.store.publish(KEY, snapshot(bad), [bad.key])
        streams.store.reject(KEY, refusal(bad))
        assert served(feed, bad.key) == good

    latest, oldest = route("r", "bad19"), route("r", "bad0")
    streams.store.publish(KEY, snapshot(latest), [latest.key])
    assert served(feed, latest.key) == good
    streams.store.publish(KEY, snapshot(oldest), [oldest.key])
    assert served(feed, oldest.key) == oldest


def test_observers_hear_of_the_first_and_last_stream_and_of_rejections(
    store: SnapshotStore,
) -> None:
    journal = Journal()
    store.observe(journal)
    good, bad = route("r", "good"), route("r", "bad")
    with store.attach(KEY, lambda: None):
        with store.attach(KEY, lambda: None):
            store.publish(KEY, snapshot(bad), None)
        store.reject(KEY, refusal(bad))
        store.reject(KEY, refusal(bad))
        store.publish(KEY, snapshot(good), None)

    assert journal.events == [
        ("attached", KEY),
        ("rejections", SHOP),
        ("rejections", SHOP),
        ("detached", KEY),
    ]
    assert store.attached() == ()


def test_an_observer_may_publish_at_once(store: SnapshotStore) -> None:
    class Publisher(Observer):
        def attached(self, key: ProxyKey) -> None:
            store.publish(key, snapshot(cluster("a")), None)

    store.observe(Publisher())
    with store.attach(KEY, lambda: None) as feed:
        assert feed.take() is not None
    assert store.served(KEY) is None


def test_a_forgotten_waypoint_has_no_last_good(streams: Streams) -> None:
    feed = streams.open()
    good, bad = route("r", "good"), route("r", "bad")
    streams.store.publish(KEY, snapshot(good), None)
    streams.store.acknowledge(KEY, [good])
    streams.store.publish(KEY, snapshot(bad), None)
    streams.store.reject(KEY, refusal(bad))
    streams.store.forget(SHOP)

    assert served(feed, bad.key) == bad
    assert streams.store.rejections(SHOP) == ()
