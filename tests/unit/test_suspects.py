"""Hosts that are denied again and again, at times that the test sets."""

import pytest

from xds_server.ads.closing import Closing
from xds_server.ads.limits import AdsLimits
from xds_server.ads.suspects import Suspects

LIMITS = AdsLimits(denials_per_second=0.5, denials_burst=3)


def is_shut_out(suspects: Suspects, host: str, now: float) -> bool:
    try:
        suspects.check(host, now)
    except Closing:
        return True
    return False


def test_a_host_waits_after_its_burst_of_denials_and_no_other_does() -> None:
    suspects = Suspects(LIMITS)
    for _ in range(3):
        suspects.note("a", 0)
        assert not is_shut_out(suspects, "a", 0)
    suspects.note("a", 0)
    assert is_shut_out(suspects, "a", 1.9)
    assert not is_shut_out(suspects, "b", 0)
    assert not is_shut_out(suspects, "a", 2)


def test_who_goes_on_gets_no_more_than_two_attempts_for_each_that_is_free_again() -> None:
    suspects, now, attempts = Suspects(LIMITS), 0.0, 0
    while now < 60:
        if not is_shut_out(suspects, "a", now):
            suspects.note("a", now)
            attempts += 1
        now += 0.01
    assert attempts <= 3 + 2 * 60 * 0.5


@pytest.mark.parametrize("hosts", [10_001, 12_000])
def test_only_so_many_hosts_are_remembered(hosts: int) -> None:
    suspects = Suspects(LIMITS)
    for host in range(hosts):
        suspects.note(str(host), 0)
    assert len(suspects._denials) == len(suspects._shut_out) == 10_000


def test_envoys_own_pace_is_never_too_fast() -> None:
    """Its pauses are 0.5 s, then twice as long each time up to 30 s, at random from 0 on."""
    suspects, now = Suspects(AdsLimits()), 0.0
    for attempt in range(40):
        assert not is_shut_out(suspects, "a", now)
        suspects.note("a", now)
        now += min(0.5 * 2**attempt, 30) / 2
