"""Who leads, by what was seen of the lease; the clock is that of the test."""

from hypothesis import given
from hypothesis import strategies as st

from xds_server.status.election import Election, Record, Terms

TERMS = Terms(duration=15, deadline=10, retry=2)
NOW = "2026-01-01T00:00:00.000000Z"


def record(holder: str, version: str = "1", transitions: int = 3) -> Record:
    return Record(holder, 15.0, transitions, NOW, version)


def test_nobodys_lease_may_be_taken():
    election = Election("a", TERMS)
    election.observe(None, 0)
    assert election.may_take(0)
    election.observe(record(""), 0)
    assert election.may_take(0)
    assert not election.leads(0)


def test_anothers_lease_may_be_taken_once_it_was_seen_unchanged_for_so_long():
    election = Election("a", TERMS)
    election.observe(record("b", "1"), 100)
    election.observe(record("b", "1"), 115)
    assert not election.may_take(115)
    assert election.may_take(115.1)
    election.observe(record("b", "2"), 115.2)
    assert not election.may_take(130)


def test_the_time_of_a_claim_counts_from_when_it_was_sent():
    election = Election("a", TERMS)
    election.win(record("a"), asked_at=100)
    assert election.leads(109.9)
    assert not election.leads(110)
    assert election.may_take(110)


def test_a_lease_that_names_another_ends_it_at_once():
    election = Election("a", TERMS)
    election.win(record("a"), 100)
    election.observe(record("b", "2"), 101)
    assert not election.leads(101)
    assert not election.may_take(101)


def test_a_lease_that_was_deleted_ends_it_too():
    election = Election("a", TERMS)
    election.win(record("a"), 100)
    election.observe(None, 101)
    assert not election.leads(101)


def test_a_claim_counts_a_transition_only_if_the_holder_is_another():
    election = Election("a", TERMS)
    assert election.claim(NOW)["leaseTransitions"] == 0
    election.observe(record("b"), 0)
    claim = election.claim(NOW)
    assert (claim["leaseTransitions"], claim["acquireTime"]) == (4, NOW)
    election.win(record("a", transitions=4), 0)
    renewal = election.claim(NOW)
    assert renewal["leaseTransitions"] == 4
    assert "acquireTime" not in renewal


def test_what_is_given_back_may_be_taken_at_once():
    election, other = Election("a", TERMS), Election("b", TERMS)
    election.win(record("a"), 0)
    other.observe(record("a"), 0)
    given_back = Record.read({"metadata": {"resourceVersion": "9"}, "spec": election.release(NOW)})
    other.observe(given_back, 1)
    assert other.may_take(1)


def test_a_lease_without_a_spec_is_nobodys():
    assert Record.read({}) == Record("", 0.0, 0, "", "")


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.floats(0, 9), st.booleans()), min_size=1, max_size=60
    )
)
def test_never_two_lead_whatever_the_order(steps: list[tuple[str, float, bool]]):
    """Each step: who looks, how long after the step before, and whether the answer arrives."""
    elections = {name: Election(name, TERMS) for name in "ab"}
    stored: Record | None = None
    version, now = 0, 0.0
    for name, pause, arrives in steps:
        now += pause
        election = elections[name]
        election.observe(stored, now)
        if election.may_take(now):
            version += 1
            lease = {"metadata": {"resourceVersion": str(version)}, "spec": election.claim(NOW)}
            stored = Record.read(lease)
            if arrives:
                election.win(stored, now)
        assert sum(each.leads(now) for each in elections.values()) <= 1
