"""When what is written."""

import pytest

from translators.resources.metadata import ObjectKey
from xds_server.status.backlog import Backlog, Bucket

A, B = ObjectKey("Service", "n", "a"), ObjectKey("Service", "n", "b")


def test_first_come_first_served_each_once():
    backlog = Backlog()
    for key in (B, A, B):
        backlog.add(key)
    assert len(backlog) == 2
    assert backlog.next(0) == B
    backlog.remove(B)
    assert backlog.next(0) == A
    backlog.remove(A)
    assert backlog.next(0) is None
    assert backlog.next_due() == float("inf")


def test_what_failed_waits_and_lets_others_pass():
    backlog = Backlog()
    backlog.add(A)
    backlog.add(B)
    assert backlog.fail(A) == 1
    backlog.postpone(A, 5)
    assert backlog.next(4) == B
    backlog.add(A)  # another change of it is no reason to hurry
    backlog.remove(B)
    assert backlog.next(4) is None
    assert backlog.next_due() == 5
    assert backlog.next(5) == A
    assert backlog.fail(A) == 2
    backlog.remove(A)
    assert backlog.fail(A) == 1


def test_a_burst_then_the_rate():
    bucket = Bucket(rate=10, burst=3)
    assert [bucket.take(100) for _ in range(3)] == [0, 0, 0]
    assert bucket.take(100) == pytest.approx(0.1)
    assert bucket.take(100.1) == pytest.approx(0.1)
    assert bucket.take(200) == 0
