"""The rules of the xDS protocol and of Envoy beyond it, numbered, with a test or two each."""

import pytest

from tests.protocol.sessions import ack, ask, ask_all, delta, nack, settle, sotw
from tests.protocol.worlds import (
    CLUSTER,
    LISTENER,
    ROUTE,
    SECRET,
    drain,
    key,
    named,
    resource,
    snapshot,
)
from translators.wire.discovery import DeltaRequest, RequestError, SotwRequest, read_delta_request
from translators.wire.resource import TypeUrl
from translators.wire.snapshot import EMPTY
from xds_server.protocol import (
    Acknowledged,
    DeltaSession,
    ProtocolViolation,
    Rejected,
    SessionLimits,
    SotwSession,
)

BAD = RequestError(13, "it is bad")


def test_p01_only_the_first_request_needs_a_node() -> None:
    session = delta(resource(CLUSTER, "a"), resource(ROUTE, "r"))
    session.receive(DeltaRequest(CLUSTER, node=b"\x0a\x01x"))
    session.receive(DeltaRequest(ROUTE, subscribe=("r",)))
    assert named(drain(session)) == ["a@1", "r@1"]


def test_p02_a_nonce_of_another_stream_or_type_pairs_with_nothing() -> None:
    session = delta(resource(CLUSTER, "a"), resource(LISTENER, "l"))
    assert session.receive(DeltaRequest(CLUSTER, nonce="1")) is None
    (response,) = drain(session)
    assert session.receive(DeltaRequest(LISTENER, nonce=response.nonce)) is None
    assert named(drain(session)) == ["l@1"]
    old_stream = sotw(resource(CLUSTER, "a"))
    assert old_stream.receive(SotwRequest(CLUSTER, "x", "17", ())) is None
    assert named(drain(old_stream)) == ["a@1"]


def test_p03_sotw_ignores_a_stale_nonce_and_the_newer_request_counts() -> None:
    session = sotw(resource(ROUTE, "a"), resource(ROUTE, "b"))
    (first,) = ask_all(session, ROUTE, "a")
    assert session.receive(SotwRequest(ROUTE, nonce="stale", names=("b",))) is None
    assert drain(session) == []
    assert named(ack(session, first, "a", "b")) == ["b@1"]


def test_p04_delta_a_stale_nonce_still_changes_the_subscription() -> None:
    session = delta(resource(ROUTE, "a"), resource(ROUTE, "b"))
    settle(session, ask(session, ROUTE, "a"))
    assert session.receive(DeltaRequest(ROUTE, nonce="stale", subscribe=("b",))) is None
    assert named(drain(session)) == ["b@1"]


def test_p05_error_detail_alone_makes_a_nack() -> None:
    session = sotw(resource(CLUSTER, "a"))
    (response,) = ask_all(session, CLUSTER)
    request = SotwRequest(CLUSTER, "any version", response.nonce, error=RequestError(0, ""))
    assert isinstance(session.receive(request), Rejected)
    session = sotw(resource(CLUSTER, "a"))
    (response,) = ask_all(session, CLUSTER)
    assert isinstance(session.receive(SotwRequest(CLUSTER, "old", response.nonce)), Acknowledged)


def test_p06_refused_bytes_are_not_sent_again_whatever_the_client_repeats() -> None:
    session = delta(resource(ROUTE, "r"))
    (response,) = ask(session, ROUTE, "r")
    assert nack(session, response, "bad").culprits == (resource(ROUTE, "r"),)
    for _ in range(100):
        session.receive(DeltaRequest(ROUTE, response.nonce, error=BAD))
        assert drain(session) == []
    assert ask(session, ROUTE, "r") == []
    session.update(snapshot(resource(ROUTE, "r", "2")), {key(ROUTE, "r")})
    assert named(drain(session)) == ["r@2"]


@pytest.mark.parametrize("make", [delta, sotw])
def test_p07_an_idle_stream_is_sent_nothing(make: type) -> None:
    world = [resource(t, "x") for t in TypeUrl]
    session = make(*world)
    request = DeltaRequest if make is delta else SotwRequest
    for type_url in TypeUrl:
        session.receive(request(type_url))
    responses = drain(session)
    for response in responses:
        responses += ack(session, response)
    for changed in (None, {r.key for r in world}, set()) * 5:
        session.update(snapshot(*world), changed)
        assert drain(session) == []


def test_p08_delta_the_four_steps_of_the_legacy_wildcard() -> None:
    session = delta(resource(CLUSTER, "a"), resource(CLUSTER, "b"))
    (first,) = ask(session, CLUSTER)
    assert named([first]) == ["a@1", "b@1"]
    ack(session, first)
    (again,) = ask(session, CLUSTER, "a")
    ack(session, again)
    session.receive(DeltaRequest(CLUSTER, unsubscribe=("*",)))
    both = [resource(CLUSTER, "a", "2"), resource(CLUSTER, "b", "2")]
    session.update(snapshot(*both), None)
    (only_a,) = drain(session)
    assert named([only_a]) == ["a@2"]
    ack(session, only_a)
    session.receive(DeltaRequest(CLUSTER, unsubscribe=("a",)))
    session.update(snapshot(resource(CLUSTER, "a", "3")), None)
    assert drain(session) == []


def test_p08_sotw_the_four_steps_of_the_legacy_wildcard() -> None:
    session = sotw(resource(CLUSTER, "a"), resource(CLUSTER, "b"))
    (response,) = ask_all(session, CLUSTER)
    assert named([response]) == ["a@1", "b@1"]
    (response,) = ack(session, response, "*", "a")
    assert sorted(named([response])) == ["a@1", "b@1"]
    assert ack(session, response, "a") == []
    session.update(snapshot(resource(CLUSTER, "a", "2"), resource(CLUSTER, "b", "2")), None)
    (response,) = drain(session)
    assert named([response]) == ["a@2"]
    assert ack(session, response) == []
    session.update(snapshot(resource(CLUSTER, "a", "3")), None)
    assert drain(session) == []


def test_p09_a_name_dropped_beside_the_wildcard_is_answered_for() -> None:
    session = delta(resource(CLUSTER, "a"))
    settle(session, ask(session, CLUSTER, "*", "a", "ghost"))
    session.receive(DeltaRequest(CLUSTER, unsubscribe=("a", "ghost")))
    responses = drain(session)
    settle(session, responses)
    assert named(responses) == ["a@1"]
    session.receive(DeltaRequest(CLUSTER, unsubscribe=("a",)))
    assert drain(session) == []


def test_p09_the_answer_may_be_its_removal() -> None:
    session = delta()
    settle(session, ask(session, CLUSTER, "*", "ghost"))
    session.receive(DeltaRequest(CLUSTER, unsubscribe=("ghost",)))
    assert [r.removed for r in drain(session)] == [("ghost",)]


def test_p10_names_subscribed_again_are_sent_again() -> None:
    session = delta(resource(ROUTE, "r"))
    settle(session, ask(session, ROUTE, "r"))
    assert named(settle(session, ask(session, ROUTE, "r"))) == ["r@1"]
    session.receive(DeltaRequest(ROUTE, unsubscribe=("r",)))
    assert named(settle(session, ask(session, ROUTE, "r"))) == ["r@1"]


def test_p11_an_unknown_name_is_remembered() -> None:
    session = delta()
    (absent,) = ask(session, ROUTE, "r")
    assert absent.removed == ("r",)
    ack(session, absent)
    session.update(snapshot(resource(ROUTE, "r")), {key(ROUTE, "r")})
    assert named(drain(session)) == ["r@1"]
    silent = sotw()
    assert ask_all(silent, ROUTE, "r") == []
    silent.update(snapshot(resource(ROUTE, "r")), {key(ROUTE, "r")})
    assert named(drain(silent)) == ["r@1"]


def test_p11_a_missing_secret_is_not_declared_missing() -> None:
    session = delta()
    assert ask(session, SECRET, "s") == []
    session.update(snapshot(resource(SECRET, "s")), {key(SECRET, "s")})
    settle(session, drain(session))
    session.update(EMPTY, {key(SECRET, "s")})
    assert drain(session) == []


def test_p12_unsubscribing_unknown_names_is_harmless() -> None:
    session = delta(resource(ROUTE, "r"))
    settle(session, ask(session, ROUTE, "r"))
    session.receive(DeltaRequest(ROUTE, unsubscribe=("x", "y")))
    assert drain(session) == []


def test_p13_sotw_clusters_travel_as_the_full_set_routes_need_not() -> None:
    a, b = resource(CLUSTER, "a"), resource(CLUSTER, "b")
    session = sotw(a, b, resource(ROUTE, "a"), resource(ROUTE, "b"))
    ack(session, *ask_all(session, CLUSTER))
    ack(session, *ask_all(session, ROUTE, "a", "b"), "a", "b")
    a2, r2 = resource(CLUSTER, "a", "2"), resource(ROUTE, "a", "2")
    session.update(snapshot(a2, b, r2, resource(ROUTE, "b")), {a2.key, r2.key})
    clusters, routes = drain(session)
    assert (sorted(named([clusters])), named([routes])) == (["a@2", "b@1"], ["a@2"])
    ack(session, clusters)
    ack(session, routes, "a", "b")
    session.update(snapshot(a2, r2), {b.key, key(ROUTE, "b")})
    assert [named([r]) for r in drain(session)] == [["a@2"]]


def test_p15_sotw_a_client_that_comes_back_to_nothing_is_told() -> None:
    session = sotw()
    session.receive(SotwRequest(CLUSTER, "what it held", names=("gone",)))
    assert [r.resources for r in drain(session)] == [()]


def test_p14_no_name_twice_in_one_response() -> None:
    session = delta(resource(CLUSTER, "a"))
    assert named(ask(session, CLUSTER, "*", "a", "a")) == ["a@1"]


def test_p15_after_a_reconnect_only_differences_travel() -> None:
    session = delta(
        resource(CLUSTER, "same"), resource(CLUSTER, "new"), resource(CLUSTER, "x", "2")
    )
    held = {"same": "1", "x": "1", "gone": "1"}
    session.receive(DeltaRequest(CLUSTER, initial_versions=held))
    upserts, removals = settle(session, drain(session))
    assert (named([upserts]), removals.removed) == (["new@1", "x@2"], ("gone",))


def test_p15_after_a_reconnect_vanished_routes_are_answered() -> None:
    session = delta(resource(ROUTE, "r"))
    held = {"r": "1", "gone": "1"}
    session.receive(DeltaRequest(ROUTE, subscribe=("r", "gone"), initial_versions=held))
    assert [(r.resources, r.removed) for r in drain(session)] == [((), ("gone",))]


def test_p16_a_restart_sends_nothing_that_did_not_change() -> None:
    world = [resource(CLUSTER, "a"), resource(CLUSTER, "b")]
    session = delta(*world)
    session.receive(DeltaRequest(CLUSTER, initial_versions={"a": "1", "b": "1"}))
    assert drain(session) == []
    before = sotw(*world)
    (response,) = ask_all(before, CLUSTER)
    version = response.body[2 : 2 + response.body[1]].decode()
    after = SotwSession(SessionLimits())
    after.receive(SotwRequest(CLUSTER, version))
    after.update(snapshot(*reversed(world)), None)
    assert drain(after) == []


def test_p21_no_ttl_is_sent() -> None:
    from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryResponse

    (response,) = ask(delta(resource(CLUSTER, "a")), CLUSTER)
    (wrapped,) = DeltaDiscoveryResponse.parse(response.body).resources
    assert wrapped.ttl is None


@pytest.mark.parametrize("make", [delta, sotw])
def test_p22_an_unknown_type_is_answered_as_empty_once(make: type) -> None:
    session, url = make(resource(CLUSTER, "a")), "type.googleapis.com/unheard.Of"
    request = DeltaRequest if make is delta else SotwRequest
    session.receive(request(url))
    (response,) = drain(session)
    assert (response.type_url, response.resources) == (url, ())
    session.receive(request(url, nonce=response.nonce))
    session.receive(request(CLUSTER))
    assert [r.type_url for r in drain(session)] == [CLUSTER]


def test_p23_a_request_without_a_type_ends_the_stream() -> None:
    with pytest.raises(ProtocolViolation) as caught:
        delta().receive(DeltaRequest(""))
    assert caught.value.code == "INVALID_ARGUMENT"


def test_p24_resource_locators_are_ignored() -> None:
    from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryRequest, ResourceLocator

    locators = [ResourceLocator(name="r", dynamic_parameters={"a": "b"})]
    wire = bytes(DeltaDiscoveryRequest(type_url=ROUTE.value, resource_locators_subscribe=locators))
    assert read_delta_request(wire) == DeltaRequest(ROUTE)


def test_limits_end_the_stream_at_the_bound() -> None:
    limits = SessionLimits(names_per_request=2, names_per_stream=3, name_length=4)
    session = DeltaSession(limits)
    session.receive(DeltaRequest(ROUTE, subscribe=("a", "b")))
    session.receive(DeltaRequest(CLUSTER, subscribe=("name",)))
    for request in (
        DeltaRequest(ROUTE, subscribe=("a", "b", "c")),
        DeltaRequest(ROUTE, unsubscribe=("12345",)),
        DeltaRequest(ROUTE, initial_versions={"ééé": "1"}),
        DeltaRequest(LISTENER, subscribe=("c",)),
    ):
        with pytest.raises(ProtocolViolation) as caught:
            session.receive(request)
        assert caught.value.code == "INVALID_ARGUMENT"


def test_state_tells_what_was_sent_accepted_and_refused() -> None:
    session = delta(resource(ROUTE, "r"))
    (first,) = ask(session, ROUTE, "r")
    ack(session, first)
    session.update(snapshot(resource(ROUTE, "r", "2")), None)
    (second,) = drain(session)
    nack(session, second, "it is bad")
    state = session.state()[key(ROUTE, "r")]
    assert (state.sent, state.acked, state.error) == ("2", "1", "it is bad")
