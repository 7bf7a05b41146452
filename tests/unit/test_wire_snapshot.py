"""Snapshots that follow from one another."""

from translators.wire import Resource, ResourceKey, Snapshot, TypeUrl, content_version


def made(type_url: TypeUrl, name: str, body: bytes = b"1") -> Resource:
    return Resource(ResourceKey(type_url, name), body, content_version(body))


A, B = made(TypeUrl.CLUSTER, "a"), made(TypeUrl.CLUSTER, "b")
R = made(TypeUrl.ROUTE, "r")


def test_only_what_differs_is_copied() -> None:
    before = Snapshot.of([A, B, R])
    newer = made(TypeUrl.CLUSTER, "a", b"2")
    after = before.updated([newer], [B.key])
    assert dict(after.of_type(TypeUrl.CLUSTER)) == {"a": newer}
    assert after.of_type(TypeUrl.ROUTE) is before.of_type(TypeUrl.ROUTE)
    assert dict(before.of_type(TypeUrl.CLUSTER)) == {"a": A, "b": B}


def test_nothing_new_is_the_same_snapshot() -> None:
    before = Snapshot.of([A])
    assert before.updated([]) is before


def test_a_key_that_is_gone_and_comes_again_is_there() -> None:
    newer = made(TypeUrl.CLUSTER, "a", b"2")
    assert Snapshot.of([A]).updated([newer], [A.key]).get(A.key) == newer


def test_all_are_those_of_every_type() -> None:
    assert set(Snapshot.of([A, R]).all()) == {A, R}
