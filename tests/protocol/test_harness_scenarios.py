"""The scenarios of the community's xDS test harness: subscribing, unsubscribing, delta.

Each runs over all types, for delta and state of the world, and ends as the harness does: the
service never responds more than necessary.
"""

import pytest

from tests.protocol.worlds import CLUSTER, LISTENER, drain, key, named, resource, snapshot
from translators.wire.discovery import DeltaRequest, SotwRequest
from translators.wire.resource import TypeUrl
from translators.wire.snapshot import EMPTY, Snapshot
from xds_server.protocol import DeltaSession, Response, SessionLimits, SotwSession

TYPES = pytest.mark.parametrize("type_url", list(TypeUrl), ids=lambda t: t.name)
ROOTS = pytest.mark.parametrize("type_url", [CLUSTER, LISTENER], ids=lambda t: t.name)
VARIANTS = pytest.mark.parametrize("variant", ["delta", "sotw"])


class Stream:
    """A client of one type that acknowledges everything and counts what it was sent."""

    def __init__(self, variant: str, type_url: TypeUrl, world: Snapshot) -> None:
        self.is_delta, self.type_url = variant == "delta", type_url
        self.session = (DeltaSession if self.is_delta else SotwSession)(SessionLimits())
        self.session.update(world, None)
        self.names: set[str] = set()
        self.nonce = ""
        self.got: list[Response] = []

    def subscribe(self, *names: str) -> None:
        self.names |= set(names)
        self._request(DeltaRequest(self.type_url, self.nonce, subscribe=names))

    def unsubscribe(self, *names: str) -> None:
        self.names -= set(names)
        self._request(DeltaRequest(self.type_url, self.nonce, unsubscribe=names))

    def publish(self, *resources: tuple[str, str]) -> None:
        world = snapshot(*(resource(self.type_url, *r) for r in resources))
        self.session.update(world, None)
        self._read()

    def _request(self, request: DeltaRequest) -> None:
        if self.is_delta:
            self.session.receive(request)
        else:
            self.session.receive(self._names(self.nonce))
        self._read()

    def _names(self, nonce: str) -> SotwRequest:
        return SotwRequest(self.type_url, "", nonce, tuple(self.names))

    def _read(self) -> None:
        while responses := drain(self.session):
            for response in responses:
                self.nonce = response.nonce
                self.got.append(response)
                answer = DeltaRequest(self.type_url, self.nonce)
                self.session.receive(answer if self.is_delta else self._names(self.nonce))

    def taken(self) -> tuple[list[str], list[str]]:
        """What was sent since the last call: resources, and removed names."""
        got, self.got = self.got, []
        return sorted(named(got)), sorted(name for r in got for name in r.removed)


def world(type_url: TypeUrl, *names: str) -> Snapshot:
    return snapshot(*(resource(type_url, name) for name in names))


@VARIANTS
@TYPES
def test_a_wildcard_brings_every_resource(variant: str, type_url: TypeUrl) -> None:
    stream = Stream(variant, type_url, world(type_url, "a", "b", "c"))
    stream.subscribe()
    assert stream.taken() == (["a@1", "b@1", "c@1"], [])


@VARIANTS
@TYPES
def test_a_wildcard_brings_updates(variant: str, type_url: TypeUrl) -> None:
    stream = Stream(variant, type_url, world(type_url, "a"))
    stream.subscribe()
    stream.taken()
    stream.publish(("a", "2"))
    assert stream.taken() == (["a@2"], [])


@VARIANTS
@TYPES
def test_a_wildcard_brings_new_resources(variant: str, type_url: TypeUrl) -> None:
    stream = Stream(variant, type_url, EMPTY)
    stream.subscribe()
    assert stream.taken() == ([], [])
    stream.publish(("a", "1"))
    assert stream.taken() == (["a@1"], [])


@VARIANTS
@TYPES
def test_names_bring_only_those(variant: str, type_url: TypeUrl) -> None:
    stream = Stream(variant, type_url, world(type_url, "a", "b", "c"))
    stream.subscribe("a", "b")
    assert stream.taken() == (["a@1", "b@1"], [])


@VARIANTS
@TYPES
def test_names_bring_updates_of_only_those(variant: str, type_url: TypeUrl) -> None:
    stream = Stream(variant, type_url, world(type_url, "a", "b"))
    stream.subscribe("a")
    stream.taken()
    stream.publish(("a", "1"), ("b", "2"))
    assert stream.taken() == ([], [])
    stream.publish(("a", "2"), ("b", "2"))
    assert stream.taken() == (["a@2"], [])


@VARIANTS
@TYPES
def test_a_name_that_does_not_exist_yet_comes_later(variant: str, type_url: TypeUrl) -> None:
    stream = Stream(variant, type_url, EMPTY)
    stream.subscribe("a")
    stream.taken()
    stream.publish(("a", "1"))
    assert stream.taken() == (["a@1"], [])


@VARIANTS
@TYPES
def test_another_name_on_the_same_stream(variant: str, type_url: TypeUrl) -> None:
    stream = Stream(variant, type_url, world(type_url, "a", "b"))
    stream.subscribe("a")
    stream.taken()
    stream.subscribe("b")
    full_set = variant == "sotw" and type_url in (CLUSTER, LISTENER)
    assert stream.taken() == (["a@1", "b@1"] if full_set else ["b@1"], [])


@VARIANTS
@TYPES
def test_a_name_that_was_dropped_brings_nothing(variant: str, type_url: TypeUrl) -> None:
    stream = Stream(variant, type_url, world(type_url, "a", "b"))
    stream.subscribe("a", "b")
    stream.taken()
    stream.unsubscribe("a")
    stream.publish(("a", "2"), ("b", "1"))
    assert stream.taken() == ([], [])


@VARIANTS
@TYPES
def test_all_names_dropped_is_no_wildcard(variant: str, type_url: TypeUrl) -> None:
    stream = Stream(variant, type_url, world(type_url, "a", "b"))
    stream.subscribe("a")
    stream.taken()
    stream.unsubscribe("a")
    stream.publish(("a", "2"), ("b", "2"))
    assert stream.taken() == ([], [])


@VARIANTS
@ROOTS
def test_a_removed_resource_is_told(variant: str, type_url: TypeUrl) -> None:
    stream = Stream(variant, type_url, world(type_url, "a", "b"))
    stream.subscribe()
    stream.taken()
    stream.publish(("b", "1"))
    assert stream.taken() == ((["b@1"] if variant == "sotw" else []), ["a"])


@TYPES
def test_delta_tells_what_does_not_exist(type_url: TypeUrl) -> None:
    stream = Stream("delta", type_url, EMPTY)
    stream.subscribe("a")
    assert stream.taken() == ([], [] if type_url is TypeUrl.SECRET else ["a"])


@TYPES
def test_delta_brings_only_what_changed(type_url: TypeUrl) -> None:
    stream = Stream("delta", type_url, world(type_url, "a", "b"))
    stream.subscribe("*")
    stream.taken()
    stream.publish(("a", "1"), ("b", "2"))
    assert stream.taken() == (["b@2"], [])


@TYPES
def test_delta_a_removed_resource_that_returns_is_sent(type_url: TypeUrl) -> None:
    stream = Stream("delta", type_url, world(type_url, "a"))
    stream.subscribe("*")
    stream.publish()
    stream.taken()
    stream.publish(("a", "2"))
    assert stream.taken() == (["a@2"], [])


@TYPES
def test_delta_dropping_the_wildcard_keeps_the_names(type_url: TypeUrl) -> None:
    stream = Stream("delta", type_url, world(type_url, "a", "b"))
    stream.subscribe("*", "a")
    stream.unsubscribe("*")
    stream.taken()
    stream.publish(("a", "2"), ("b", "2"))
    assert stream.taken() == (["a@2"], [])


def test_delta_changes_cost_no_comparison_of_the_rest() -> None:
    stream = Stream("delta", CLUSTER, world(CLUSTER, "a", "b"))
    stream.subscribe()
    stream.taken()
    both = snapshot(resource(CLUSTER, "a", "2"), resource(CLUSTER, "b", "2"))
    stream.session.update(both, {key(CLUSTER, "b")})
    assert named(drain(stream.session)) == ["b@2"]
