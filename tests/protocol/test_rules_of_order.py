"""Rules P17 to P20: what is sent before what, and what follows it."""

import pytest

from tests.protocol.sessions import ack, ask, ask_all, delta, settle, sotw
from tests.protocol.worlds import (
    CLUSTER,
    ENDPOINT,
    EXTENSION,
    LISTENER,
    ROUTE,
    drain,
    key,
    named,
    resource,
    sent,
    snapshot,
)
from translators.wire.discovery import DeltaRequest
from translators.wire.resource import TypeUrl
from translators.wire.snapshot import EMPTY


def test_p17_additions_in_order_removals_last_and_in_reverse() -> None:
    session = delta(*(resource(t, "x") for t in reversed(TypeUrl)))
    for type_url in reversed(TypeUrl):
        session.receive(DeltaRequest(type_url))
    assert [t for t, _ in sent(settle(session, drain(session)))] == list(TypeUrl)
    session.update(EMPTY, None)
    removed = [TypeUrl(r.type_url) for r in drain(session)]
    assert removed == [ROUTE, EXTENSION, LISTENER, ENDPOINT, CLUSTER]


def test_p17_a_cluster_goes_after_the_route_that_used_it_was_replaced() -> None:
    session = delta(resource(CLUSTER, "old"), resource(ROUTE, "r"))
    session.receive(DeltaRequest(ROUTE, subscribe=("r",)))
    settle(session, ask(session, CLUSTER))
    needs_new = resource(ROUTE, "r", "2", [key(CLUSTER, "new")])
    session.update(snapshot(resource(CLUSTER, "new"), needs_new), None)
    responses = settle(session, drain(session))
    assert [(named([r]), r.removed) for r in responses] == [
        (["new@1"], ()),
        (["r@2"], ()),
        ([], ("old",)),
    ]


@pytest.mark.parametrize("make", [delta, sotw])
def test_p18_endpoints_follow_their_cluster_even_if_unchanged(make: type) -> None:
    session = make(resource(CLUSTER, "c"), resource(ENDPOINT, "c"))
    start, names = (ask, ()) if make is delta else (ask_all, ("c",))
    ack(session, *start(session, CLUSTER))
    ack(session, *start(session, ENDPOINT, "c"), *names)
    changed = resource(CLUSTER, "c", "2")
    session.update(snapshot(changed, resource(ENDPOINT, "c")), {changed.key})
    assert sent(drain(session)) == [(CLUSTER, "c"), (ENDPOINT, "c")]


def test_p18_also_when_the_client_asks_after_a_reconnect() -> None:
    session = delta(resource(CLUSTER, "c", "2"), resource(ENDPOINT, "c"))
    session.receive(DeltaRequest(CLUSTER, initial_versions={"c": "1"}))
    assert sent(drain(session)) == [(CLUSTER, "c")]
    session.receive(DeltaRequest(ENDPOINT, subscribe=("c",), initial_versions={"c": "1"}))
    assert sent(drain(session)) == [(ENDPOINT, "c")]


def test_p19_missing_endpoints_are_answered_again_behind_their_cluster() -> None:
    session = delta(resource(CLUSTER, "c"))
    session.receive(DeltaRequest(ENDPOINT, subscribe=("c",)))
    settle(session, ask(session, CLUSTER))
    session.update(snapshot(resource(CLUSTER, "c", "2")), {key(CLUSTER, "c")})
    assert [(r.type_url, r.removed) for r in drain(session)] == [(CLUSTER, ()), (ENDPOINT, ("c",))]


@pytest.mark.parametrize("first", list(TypeUrl))
def test_p20_types_may_be_asked_for_in_any_order_and_alone(first: TypeUrl) -> None:
    everything = [key(t, "x") for t in TypeUrl]
    session = delta(*(resource(t, "x", requires=everything) for t in TypeUrl))
    assert sent(settle(session, ask(session, first, "x"))) == [(first, "x")]
    got = [first]
    for type_url in TypeUrl:
        if type_url is not first:
            got += [t for t, _ in sent(settle(session, ask(session, type_url, "x")))]
    assert set(got) == set(TypeUrl)
