"""Which of many known callers may be which of many waypoints: each its own, and no other."""

from itertools import product

import pytest

from translators.ir.waypoint import WaypointName
from translators.wire.node import JsonValue, Node
from xds_server.identity.network import NetworkAuthenticator
from xds_server.identity.peer import (
    GATEWAY_NAME_LABEL,
    Caller,
    Denied,
    Peer,
    Proof,
    Reason,
    ServiceAccount,
)

WAYPOINTS = {
    WaypointName(f"ns-{namespace}", f"gate-{gate}"): f"account-{gate}"
    for namespace, gate in product(range(5), range(4))
}
ACCOUNTS = {
    ServiceAccount(f"ns-{namespace}", f"account-{gate}")
    for namespace, gate in product(range(5), range(4))
}
SECURE = Peer("ipv4:10.0.0.1:1", {"transport_security_type": (b"ssl",)})


class Known:
    """Credentials that say what they are told to."""

    needs_certificate = False

    def __init__(self) -> None:
        self.reviews: dict[str, int] = {}

    def problems(self) -> tuple[str, ...]:
        return ()

    async def close(self) -> None:
        pass

    async def identify(self, peer: Peer) -> Caller:
        return Caller(Proof.TOKEN, ServiceAccount("ns-0", "account-0"), "pod")


def authenticator() -> NetworkAuthenticator:
    return NetworkAuthenticator(Known(), WAYPOINTS.get)


def claiming(waypoint: WaypointName, **metadata: JsonValue) -> Node:
    claim: dict[str, JsonValue] = {
        "NAMESPACE": waypoint.namespace,
        "LABELS": {GATEWAY_NAME_LABEL: waypoint.name},
    }
    return Node(id="envoy-1", metadata=claim | metadata)


def test_each_account_may_be_its_own_waypoint_and_no_other() -> None:
    allowed = 0
    for account, waypoint in product(ACCOUNTS, WAYPOINTS):
        verdict = judged(account, waypoint)
        if account == ServiceAccount(waypoint.namespace, WAYPOINTS[waypoint]):
            assert verdict == waypoint
            allowed += 1
        else:
            assert verdict is Reason.OTHER_ACCOUNT
    assert allowed == len(WAYPOINTS)


def judged(account: ServiceAccount, waypoint: WaypointName) -> WaypointName | Reason:
    """The waypoint that the account may be if it claims this one, or why it may not."""
    try:
        caller = Caller(Proof.TOKEN, account)
        return authenticator().admit(caller, claiming(waypoint)).waypoint
    except Denied as denied:
        return denied.reason


@pytest.mark.parametrize("namespace", ["ns-0", "ns-9"])
def test_no_account_may_be_a_waypoint_that_does_not_exist(namespace: str) -> None:
    caller = Caller(Proof.TOKEN, ServiceAccount("ns-0", "account-0"))
    with pytest.raises(Denied) as denied:
        authenticator().admit(caller, claiming(WaypointName(namespace, "other")))
    # Whether there is one in another namespace is nobody's business.
    assert denied.value.reason is (
        Reason.UNKNOWN_WAYPOINT if namespace == "ns-0" else Reason.OTHER_ACCOUNT
    )


@pytest.mark.parametrize("metadata", [{"NAMESPACE": ""}, {"LABELS": {}}, {"WAYPOST_BIND": "x"}])
def test_a_known_caller_must_claim_something(metadata: dict[str, JsonValue]) -> None:
    caller = Caller(Proof.TOKEN, ServiceAccount("ns-0", "account-0"))
    node = claiming(WaypointName("ns-0", "gate-0"), **metadata)
    with pytest.raises(Denied) as denied:
        authenticator().admit(caller, node)
    assert denied.value.reason is Reason.CLAIM


def test_streams_are_counted_by_what_is_proved() -> None:
    account, node = ServiceAccount("ns-0", "account-0"), claiming(WaypointName("ns-0", "gate-0"))
    pod = authenticator().admit(Caller(Proof.TOKEN, account, "pod-1"), node)
    assert pod.identity == "ns-0/account-0/pod-1"
    unbound = authenticator().admit(Caller(Proof.CERTIFICATE, account), node)
    assert unbound.identity == "ns-0/account-0/envoy-1"


async def test_only_a_connection_without_tls_is_believed_and_only_from_here() -> None:
    judge = authenticator()
    assert (await judge.identify(SECURE)).proof is Proof.TOKEN
    assert (await judge.identify(Peer("ipv4:127.0.0.1:1"))).proof is Proof.LOOPBACK
    local = Peer("ipv4:127.0.0.1:1", SECURE.auth_context)
    assert (await judge.identify(local)).proof is Proof.TOKEN
    with pytest.raises(Denied):
        await judge.identify(Peer("ipv4:10.0.0.1:1"))
