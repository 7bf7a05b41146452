import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from tests.support.authorities import NOW, CaSpec, make_ca
from xds_server.identity.authority import Authority, create_authority
from xds_server.identity.rotation import RotatingSvids, term_start
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
    st.floats(min_value=0, max_value=0.99),
)
def test_a_term_is_half_a_life_and_begins_when_it_began(
    identity: SpiffeId, life: timedelta, later: float
) -> None:
    start = term_start(identity, NOW, life)
    assert start <= NOW < start + life / 2
    assert term_start(identity, start + later * life / 2, life) == start


def test_renewals_are_spread_and_the_same_in_every_replica() -> None:
    times = [term_start(identity, NOW, HOUR) for identity in WAYPOINTS]
    assert times == [term_start(identity, NOW, HOUR) for identity in WAYPOINTS]
    assert len(set(times)) == len(times)
    tenth = 0.05 * HOUR
    for n in range(10):
        start = NOW - (n + 1) * tenth
        assert any(start <= time <= start + tenth for time in times)


def test_replicas_and_restarts_have_the_same_svids_and_strangers_have_others() -> None:
    authority = create_authority(NOW)
    one, other, stranger = Setup(authority), Setup(authority), Setup()
    other.clock.now = term_start(WAYPOINT, NOW, HOUR) + 0.49 * HOUR
    assert one.svids.get(WAYPOINT) == other.svids.get(WAYPOINT)
    assert one.svids.get(WAYPOINT).key != one.svids.get(WAYPOINTS[1]).key
    assert one.svids.get(WAYPOINT).key != stranger.svids.get(WAYPOINT).key


@pytest.mark.parametrize("key", [None, rsa.generate_private_key(65537, 2048)])
def test_a_derived_svid_verifies(key: rsa.RSAPrivateKey | None) -> None:
    root = make_ca(CaSpec(), key=key)
    authority = Authority(root.certificate, root.key, (), (root.certificate,))
    svid = Setup(authority).svids.get(WAYPOINT)
    leaf = x509.load_pem_x509_certificates(svid.chain)[0]
    leaf.verify_directly_issued_by(root.certificate)
    assert load_pem_private_key(svid.key, None).public_key() == leaf.public_key()
    assert svid == Setup(authority).svids.get(WAYPOINT)


def test_an_identity_keeps_its_svid_until_renewal_is_due() -> None:
    setup = Setup()
    svid = setup.svids.get(WAYPOINT)
    due = setup.svids.next_renewal()
    assert due == term_start(WAYPOINT, NOW, HOUR) + HOUR / 2

    setup.clock.now = due - timedelta(microseconds=1)
    assert setup.svids.renew_due() == frozenset()
    assert setup.svids.get(WAYPOINT) is svid

    setup.clock.now = due
    assert setup.svids.renew_due() == {WAYPOINT}
    renewed = setup.svids.get(WAYPOINT)
    assert (renewed.serial, renewed.key) != (svid.serial, svid.key)
    assert renewed.not_after == (due + HOUR).replace(microsecond=0)
    assert setup.changes == [{WAYPOINT}]
    assert setup.svids.next_renewal() == due + HOUR / 2


def test_the_first_svid_is_no_change() -> None:
    setup = Setup()
    setup.svids.get(WAYPOINT)
    assert setup.changes == []
    assert Setup().svids.next_renewal() is None


def test_one_round_tells_of_all_that_it_renewed_at_once() -> None:
    setup = Setup()
    for identity in WAYPOINTS:
        setup.svids.get(identity)
    setup.clock.now = NOW + 0.5 * HOUR
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
