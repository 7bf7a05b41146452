"""The evaluator: one predicate at a time, rules in Envoy's order, and what it says of them."""

import pytest

from translators.authorization.evaluation import Action, decide, examine
from translators.authorization.explanation import describe, explain
from translators.authorization.request import Call, HttpHead
from translators.ir.authorization import (
    AllOf,
    AnyOf,
    Authorization,
    AuthzRule,
    ClaimIs,
    DestinationIp,
    DestinationPort,
    HeaderIs,
    HostIs,
    MethodIs,
    Not,
    PathIs,
    PeerIs,
    Predicate,
    PrincipalIs,
    SniIs,
    SourceIp,
    TextKind,
    TextMatch,
)
from translators.ir.origin import Origin
from translators.ir.predicate import EVERYTHING, NOTHING

HEAD = HttpHead(
    "GET",
    "Shop.Example.:8080",
    "/cart/7",
    (("x-a", "one"), ("x-a", "two"), ("x-empty", "")),
    {"iss": "me", "groups": ["a", "b"], "deep": {"er": "x"}, "number": 7},
)
CALL = Call("spiffe://td/ns/shop/sa/web", "10.1.2.3", "10.96.0.1", 80, http=HEAD)
PRESENT = TextMatch(TextKind.PRESENT)


def exact(value: str) -> TextMatch:
    return TextMatch(TextKind.EXACT, value)


def prefix(value: str) -> TextMatch:
    return TextMatch(TextKind.PREFIX, value)


def suffix(value: str) -> TextMatch:
    return TextMatch(TextKind.SUFFIX, value)


def template(value: str) -> TextMatch:
    return TextMatch(TextKind.TEMPLATE, value)


def rule(
    key: str, sources: Predicate = EVERYTHING, operations: Predicate = EVERYTHING
) -> AuthzRule:
    return AuthzRule(key, sources, operations, Origin("AuthorizationPolicy", "shop", key))


HOLDS = [
    EVERYTHING,
    AllOf(()),
    Not(NOTHING),
    PeerIs(),
    PeerIs(exact("td"), prefix("sh"), suffix("eb")),
    PrincipalIs(PRESENT),
    PrincipalIs(exact("td/ns/shop/sa/web")),
    PrincipalIs(suffix("/sa/web")),
    SourceIp("10.1.0.0/16"),
    DestinationIp("10.96.0.1"),
    DestinationPort(80),
    MethodIs(PRESENT),
    HostIs(exact("shop.example")),
    HostIs(exact("SHOP.example:8080")),
    HostIs(suffix(".EXAMPLE")),
    HostIs(prefix("shop.")),
    PathIs(prefix("/cart/")),
    PathIs(template("/{*}/7")),
    PathIs(template("/cart/{**}")),
    HeaderIs("x-a", exact("two")),
    HeaderIs("x-empty", PRESENT),
    ClaimIs(("iss",), exact("me")),
    ClaimIs(("groups",), exact("b")),
    ClaimIs(("deep", "er"), PRESENT),
]
FAILS = [
    NOTHING,
    AnyOf(()),
    PeerIs(namespace=exact("sho")),
    PeerIs(service_account=prefix("shop")),
    PrincipalIs(exact("spiffe://td/ns/shop/sa/web")),
    PrincipalIs(prefix("ns/shop")),
    SourceIp("::/0"),
    SourceIp("10.2.0.0/16"),
    DestinationPort(8080),
    SniIs(PRESENT),
    MethodIs(exact("get")),
    HostIs(exact("shop.example:80")),
    HostIs(exact("example")),
    PathIs(exact("/cart")),
    PathIs(template("/{*}")),
    PathIs(template("/car./{*}")),
    HeaderIs("x-a", exact("one,two")),
    HeaderIs("x-b", PRESENT),
    ClaimIs(("number",), PRESENT),
    ClaimIs(("deep",), PRESENT),
    ClaimIs(("iss", "me"), PRESENT),
]


@pytest.mark.parametrize("predicate", HOLDS, ids=describe)
def test_holds(predicate: Predicate) -> None:
    assert examine(predicate, CALL).holds
    assert not examine(Not(predicate), CALL).holds


@pytest.mark.parametrize("predicate", FAILS, ids=describe)
def test_does_not_hold(predicate: Predicate) -> None:
    assert not examine(predicate, CALL).holds


@pytest.mark.parametrize(
    "peer", ["", "spiffe://", "td/ns/shop/sa/web", "spiffe://td/x/shop/sa/web"]
)
def test_no_identity_satisfies_nothing(peer: str) -> None:
    call = Call(peer, "10.1.2.3", "10.96.0.1", 80, http=HEAD)
    assert not examine(PeerIs(), call).holds


@pytest.mark.parametrize(
    "predicate",
    [
        MethodIs(PRESENT),
        PathIs(PRESENT),
        HostIs(PRESENT),
        HeaderIs("x-a", PRESENT),
        ClaimIs(("iss",), PRESENT),
    ],
)
def test_a_connection_has_no_request(predicate: Predicate) -> None:
    assert not examine(predicate, Call(CALL.peer, CALL.source, CALL.destination, 80)).holds


@pytest.mark.parametrize(
    ("authorization", "allowed", "by"),
    [
        (Authorization(), True, None),
        (Authorization(allow=()), False, None),
        (Authorization(allow=(rule("a"),)), True, "a"),
        (Authorization(allow=(rule("a", NOTHING), rule("b"))), True, "b"),
        (Authorization(allow=(rule("a", operations=NOTHING),)), False, None),
        (Authorization(deny=(rule("d"),), allow=(rule("a"),)), False, "d"),
        (Authorization(deny=(rule("d", NOTHING),)), True, None),
        (Authorization(audit=(rule("l"),)), True, None),
        (Authorization(dry_run_deny=(rule("w"),), dry_run_allow=()), True, None),
    ],
)
def test_order_of_actions(authorization: Authorization, allowed: bool, by: str | None) -> None:
    decision = decide(authorization, CALL)
    assert (decision.allowed, decision.by and decision.by.rule.key) == (allowed, by)


def test_every_rule_is_traced_in_envoys_order() -> None:
    rules = Authorization(
        deny=(rule("d", NOTHING),),
        allow=(rule("a"),),
        audit=(rule("l"),),
        dry_run_deny=(rule("wd"),),
        dry_run_allow=(rule("wa"),),
    )
    assert [(each.action, each.matches) for each in decide(rules, CALL).trace] == [
        (Action.AUDIT, True),
        (Action.DENY, False),
        (Action.WATCHED_DENY, True),
        (Action.ALLOW, True),
        (Action.WATCHED_ALLOW, True),
    ]


@pytest.mark.parametrize(
    ("sources", "operations", "said"),
    [
        (EVERYTHING, EVERYTHING, "it applies to everything"),
        (SourceIp("10.0.0.0/8"), MethodIs(exact("GET")), "source IP in 10.0.0.0/8, method GET"),
        (EVERYTHING, PathIs(prefix("/a")), "not path /a*"),
        (
            EVERYTHING,
            AnyOf((PathIs(exact("/a")), PathIs(suffix("b")))),
            "neither path /a nor path *b",
        ),
        (EVERYTHING, AllOf((MethodIs(PRESENT), PathIs(exact("/a")))), "not path /a"),
        (Not(SourceIp("10.0.0.0/8")), EVERYTHING, "it is source IP in 10.0.0.0/8"),
        (Not(SourceIp("11.0.0.0/8")), EVERYTHING, "not source IP in 11.0.0.0/8"),
        (PeerIs(namespace=exact("b")), EVERYTHING, "not namespace b"),
        (ClaimIs(("a", "b"), exact("c")), EVERYTHING, "not claim a.b c"),
        (HeaderIs("x-a", exact("one")), EVERYTHING, "header x-a: one"),
    ],
)
def test_explanations(sources: Predicate, operations: Predicate, said: str) -> None:
    decision = decide(Authorization(deny=(rule("r", sources, operations),)), CALL)
    assert explain(decision.trace[0]) == said
