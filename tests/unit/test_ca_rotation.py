import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.authorities import NOW, CaSpec, make_ca
from xds_server.identity.authority import Authority, create_authority
from xds_server.identity.rotation import RotatingSvids, renewal_time
from xds_server.identity.spiffe import SpiffeId

HOUR = timedelta(hours=1)
WAYPOINTS = [SpiffeId("cluster.local", "demo", f"waypoint-{n}") for n in range(200)]
WAYPOINT = WAYPOINTS[0]


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Setup:
    """RotatingSvids with a clock that stands still until it is moved."""

    authority: Authority = field(default_factory=lambda: create_authority(NOW))
    clock: Clock = field(default_factory=Clock)
    changes: list[frozenset[SpiffeId]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.svids = RotatingSvids(self.authority, self.clock, self.changes.append, HOUR)


@given(
    st.sampled_from(WAYPOINTS),
    st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=1)),
)
def test_renewal_falls_between_50_and_70_percent_of_life(
    identity: SpiffeId, life: timedelta
) -> None:
    after = renewal_time(identity, NOW, NOW + life) - NOW
    assert 0.5 * life <= after <= 0.7 * life


def test_renewals_are_spread_and_the_same_in_every_replica() -> None:
    times = [renewal_time(identity, NOW, NOW + HOUR) for identity in WAYPOINTS]
    assert times == [renewal_time(identity, NOW, NOW + HOUR) for identity in WAYPOINTS]
    assert len(set(times)) == len(times)
    tenth = 0.02 * HOUR
    for n in range(10):
        start = NOW + 0.5 * HOUR + n * tenth
        assert any(start <= time < start + tenth for time in times)


def test_an_identity_keeps_its_svid_until_renewal_is_due() -> None:
    setup = Setup()
    svid = setup.svids.get(WAYPOINT)
    due = setup.svids.next_renewal()
    assert due == renewal_time(WAYPOINT, NOW, svid.not_after)

    setup.clock.now = due - timedelta(microseconds=1)
    assert setup.svids.renew_due() == frozenset()
    assert setup.svids.get(WAYPOINT) is svid

    setup.clock.now = due
    assert setup.svids.renew_due() == {WAYPOINT}
    renewed = setup.svids.get(WAYPOINT)
    assert (renewed.serial, renewed.key) != (svid.serial, svid.key)
    assert renewed.not_after == (due + HOUR).replace(microsecond=0)
    assert setup.changes == [{WAYPOINT}]
    assert setup.svids.next_renewal() == renewal_time(WAYPOINT, due, renewed.not_after)


def test_the_first_svid_is_no_change() -> None:
    setup = Setup()
    setup.svids.get(WAYPOINT)
    assert setup.changes == []
    assert Setup().svids.next_renewal() is None


def test_one_round_tells_of_all_that_it_renewed_at_once() -> None:
    setup = Setup()
    for identity in WAYPOINTS:
        setup.svids.get(identity)
    setup.clock.now = NOW + 0.7 * HOUR
    assert setup.svids.renew_due() == set(WAYPOINTS)
    assert setup.changes == [frozenset(WAYPOINTS)]


def test_what_is_forgotten_is_not_renewed() -> None:
    setup = Setup()
    kept, *others = WAYPOINTS[:4]
    for identity in (kept, *others):
        setup.svids.get(identity)
    setup.svids.forget(others[0])
    setup.svids.forget(others[0])
    setup.svids.retain([kept])
    setup.clock.now = NOW + HOUR
    assert setup.svids.renew_due() == {kept}


def test_a_clock_that_was_set_back_renews_what_is_not_valid_yet() -> None:
    setup = Setup(create_authority(NOW - timedelta(days=9)))
    setup.svids.get(WAYPOINT)
    setup.clock.now = NOW - timedelta(days=1)
    assert setup.svids.renew_due() == {WAYPOINT}
    assert setup.svids.get(WAYPOINT).not_before < setup.clock.now
    assert setup.svids.renew_due() == frozenset()


def test_a_ca_that_expires_takes_no_svid_away_and_is_tried_again() -> None:
    root = make_ca(CaSpec(end=NOW + timedelta(minutes=10)))
    authority = Authority(root.certificate, root.key, (), (root.certificate,))
    setup = Setup(authority)
    svid = setup.svids.get(WAYPOINT)
    assert svid.not_after == root.certificate.not_valid_after_utc
    setup.clock.now = svid.not_after
    assert setup.svids.renew_due() == frozenset()
    assert setup.changes == []
    assert setup.svids.get(WAYPOINT) is svid
    assert setup.svids.next_renewal() == svid.not_after + timedelta(seconds=30)


async def test_run_renews_what_is_due_and_wakes_for_a_new_identity() -> None:
    told: asyncio.Queue[frozenset[SpiffeId]] = asyncio.Queue()
    clock = Clock()
    svids = RotatingSvids(create_authority(NOW), clock, told.put_nowait, HOUR)
    first = svids.get(WAYPOINT)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(svids.run())
        await asyncio.sleep(0)
        assert told.empty()
        clock.now = NOW + HOUR
        svids.get(WAYPOINTS[1])  # ends a sleep of a minute
        assert await told.get() == {WAYPOINT}
        assert svids.get(WAYPOINT) != first
        task.cancel()


def test_issuance_is_logged_without_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    setup = Setup()
    svid = setup.svids.get(WAYPOINT)
    out = capsys.readouterr().out
    assert WAYPOINT.uri in out
    assert f"{svid.serial:x}" in out
    assert svid.key.splitlines()[1].decode() not in out
