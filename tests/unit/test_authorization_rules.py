"""What policies mean: Istio's rules, and that doubt never opens a door."""

import pytest

from translators.authorization.fields import Carrier, Scope
from translators.authorization.guard import guard
from translators.authorization.rules import Meaning, read_rule
from translators.authorization.text import UnusableValue, path, wildcard
from translators.ir.authorization import (
    AllOf,
    AnyOf,
    ClaimIs,
    DestinationIp,
    HeaderIs,
    HostIs,
    MethodIs,
    Not,
    PathIs,
    PeerIs,
    PrincipalIs,
    SniIs,
    SourceIp,
    TextKind,
    TextMatch,
)
from translators.ir.predicate import EVERYTHING, NOTHING
from translators.ir.waypoint import Mesh
from translators.resources.authorizationpolicy import (
    AuthorizationPolicy,
    PolicyCondition,
    PolicyRule,
)
from translators.resources.metadata import Metadata

MESH = Mesh()
ANY_PEER = PrincipalIs(TextMatch(TextKind.PRESENT))


def exact(value: str) -> TextMatch:
    return TextMatch(TextKind.EXACT, value)


def meaning(
    rule: PolicyRule,
    *,
    allows: bool = True,
    carrier: Carrier = Carrier.REQUESTS,
    port: int = 80,
) -> Meaning:
    return read_rule(Scope(MESH, "shop", port, carrier), rule, allows=allows)


def sources(**fields: list[str]) -> PolicyRule:
    return PolicyRule(sources=({name: tuple(values) for name, values in fields.items()},))


def operations(**fields: list[str]) -> PolicyRule:
    return PolicyRule(operations=({name: tuple(values) for name, values in fields.items()},))


def policy(*rules: PolicyRule, action: str = "ALLOW", name: str = "p") -> AuthorizationPolicy:
    return AuthorizationPolicy(Metadata(name, "shop"), action=action, rules=rules)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("*", TextMatch(TextKind.PRESENT)),
        ("a*", TextMatch(TextKind.PREFIX, "a")),
        ("*a", TextMatch(TextKind.SUFFIX, "a")),
        ("a.b", exact("a.b")),
    ],
)
def test_wildcards(value, expected):
    assert wildcard(value) == expected


@pytest.mark.parametrize("value", ["", "a*b", "*a*", "**"])
def test_wildcards_that_have_no_meaning(value):
    with pytest.raises(UnusableValue):
        wildcard(value)


@pytest.mark.parametrize("value", ["/a/{*}/b", "/{**}/b", "/{*}/{**}"])
def test_path_templates(value):
    assert path(value) == TextMatch(TextKind.TEMPLATE, value)


@pytest.mark.parametrize("value", ["/{**}/{*}", "/{*}*", "/{a}", "/{**}/{**}", "{*}"])
def test_path_templates_that_have_no_meaning(value):
    with pytest.raises(UnusableValue):
        path(value)


def test_values_are_alternatives_fields_and_conditions_all_count():
    rule = PolicyRule(
        sources=({"namespaces": ("a", "b"), "ipBlocks": ("10.0.0.0/8",)}, {"namespaces": ("c",)}),
        operations=({"methods": ("GET",), "paths": ("/x*",)},),
        when=(PolicyCondition("request.headers[X-Team]", ("red",)),),
    )
    got = meaning(rule)
    assert got.sources == AllOf(
        (
            AnyOf(
                (
                    AllOf(
                        (
                            AnyOf((PeerIs(namespace=exact("a")), PeerIs(namespace=exact("b")))),
                            SourceIp("10.0.0.0/8"),
                        )
                    ),
                    PeerIs(namespace=exact("c")),
                )
            ),
            HeaderIs("x-team", exact("red")),
        )
    )
    assert got.operations == AllOf(
        (MethodIs(exact("GET")), PathIs(TextMatch(TextKind.PREFIX, "/x")))
    )
    assert got.needs == {Carrier.REQUESTS}
    assert got.problems == ()


def test_empty_rule_matches_everything():
    assert meaning(PolicyRule()) == Meaning(EVERYTHING, EVERYTHING)


def test_negative_identity_demands_an_identity():
    assert meaning(sources(notNamespaces=["a"])).sources == AllOf(
        (ANY_PEER, Not(PeerIs(namespace=exact("a"))))
    )
    assert meaning(sources(notIpBlocks=["10.1.2.3"])).sources == Not(SourceIp("10.1.2.3/32"))


def test_port_is_decided_at_once():
    assert meaning(operations(ports=["80", "81"]), port=80).operations == EVERYTHING
    assert meaning(operations(ports=["81"]), port=80).operations == NOTHING
    assert meaning(operations(notPorts=["80"]), port=80).operations == NOTHING


def test_service_account_defaults_to_the_policys_namespace():
    assert meaning(sources(serviceAccounts=["x"])).sources == PeerIs(
        namespace=exact("shop"), service_account=exact("x")
    )


def test_principals_hold_for_every_alias_of_the_trust_domain():
    mesh = Mesh(trust_domain="new", trust_domain_aliases=("old",))
    rule = sources(principals=["old/ns/a/sa/b"])
    got = read_rule(Scope(mesh, "shop", 80), rule, allows=True)
    assert got.sources == AnyOf(
        (PrincipalIs(exact("new/ns/a/sa/b")), PrincipalIs(exact("old/ns/a/sa/b")))
    )


@pytest.mark.parametrize(
    ("key", "values", "expected"),
    [
        ("request.auth.claims[a][b]", "x", ClaimIs(("a", "b"), exact("x"))),
        ("request.auth.audiences", "x", ClaimIs(("aud",), exact("x"))),
        ("source.namespace", "x", PeerIs(namespace=exact("x"))),
    ],
)
def test_conditions_on_the_source(key, values, expected):
    rule = PolicyRule(when=(PolicyCondition(key, (values,)),))
    assert meaning(rule).sources == expected


def test_condition_on_the_operation():
    rule = PolicyRule(when=(PolicyCondition("destination.ip", ("10.0.0.1",)),))
    assert meaning(rule).operations == DestinationIp("10.0.0.1/32")


BAD_RULES = [
    sources(namespaces=["a*b"]),
    sources(notNamespaces=["a*b"]),
    sources(ipBlocks=["10.0.0"]),
    sources(notIpBlocks=["10.0.0"]),
    sources(principal=["a"]),
    operations(ports=["http"]),
    operations(notPorts=["http"]),
    operations(paths=["/a*b"]),
    PolicyRule(when=(PolicyCondition("no.such.key", ("a",)),)),
    PolicyRule(when=(PolicyCondition("request.headers[]", ("a",)),)),
    PolicyRule(when=(PolicyCondition("request.auth.claims[a", ("a",)),)),
    PolicyRule(unreadable=(("from", "is not a list"),)),
]


@pytest.mark.parametrize("rule", BAD_RULES)
def test_doubt_makes_allow_match_nothing(rule):
    got = meaning(rule, allows=True)
    assert NOTHING in (got.sources, got.operations)
    assert got.problems


@pytest.mark.parametrize("rule", BAD_RULES)
def test_doubt_makes_deny_match_everything(rule):
    got = meaning(rule, allows=False)
    assert got.sources in (EVERYTHING, ANY_PEER)
    assert got.operations == EVERYTHING
    assert got.problems


def test_one_bad_value_spares_its_neighbours():
    assert meaning(sources(namespaces=["a*b", "c"])).sources == PeerIs(namespace=exact("c"))


def test_http_rules_without_http():
    rule = PolicyRule(sources=({"namespaces": ("a",)},), operations=({"paths": ("/x",)},))
    assert meaning(rule, allows=True, carrier=Carrier.BYTES).operations == NOTHING
    denying = meaning(rule, allows=False, carrier=Carrier.BYTES)
    assert denying.operations == EVERYTHING
    assert denying.sources == PeerIs(namespace=exact("a"))


def test_no_policy_guards_nothing():
    assert guard((), MESH, 80).http.allow is None


def test_allow_without_rules_allows_nothing():
    assert guard((policy(),), MESH, 80).http.allow == ()


def test_deny_without_rules_denies_nothing():
    got = guard((policy(action="DENY"),), MESH, 80).http
    assert (got.deny, got.allow) == ((), None)


def test_rules_are_named_as_istio_names_them():
    got = guard((policy(PolicyRule(), sources(namespaces=["a"])),), MESH, 80).http
    assert got.allow is not None
    assert [rule.key for rule in got.allow] == [
        "ns[shop]-policy[p]-rule[0]",
        "ns[shop]-policy[p]-rule[1]",
    ]
    assert got.allow[1].origin.path == "spec.rules[1]"


@pytest.mark.parametrize("action", ["CUSTOM", "DENY"])
def test_action_that_is_not_enforceable_denies(action):
    got = guard((policy(PolicyRule(), action=action),), MESH, 80).http
    assert len(got.deny) == 1


def test_unreadable_policy_still_protects():
    broken = AuthorizationPolicy(Metadata("p", "shop"), unreadable=(("spec.action", "wrong"),))
    got = guard((broken,), MESH, 80)
    assert [rule.sources for rule in got.http.deny] == [EVERYTHING]
    assert [rule.sources for rule in got.tcp.deny] == [EVERYTHING]
    assert [rule.sources for rule in got.connect.deny] == [EVERYTHING]


def test_dry_run_is_only_watched():
    watched = AuthorizationPolicy(
        Metadata("p", "shop", annotations={"istio.io/dry-run": "true"}), rules=(PolicyRule(),)
    )
    got = guard((watched,), MESH, 80).http
    assert got.allow is None
    assert got.dry_run_allow is not None


def test_undeclared_protocol_decides_on_the_connect_only_what_needs_no_http():
    by_identity = policy(sources(namespaces=["a"]), name="l4")
    by_path = policy(operations(paths=["/x"]), name="l7")
    assert guard((by_identity,), MESH, 80).connect.allow is not None
    assert guard((by_identity, by_path), MESH, 80).connect.allow is None
    deny = policy(operations(paths=["/x"]), action="DENY")
    both = guard((deny,), MESH, 80)
    assert both.connect.deny == ()
    assert len(both.tcp.deny) == 1


def test_a_server_name_is_not_known_when_a_tunnel_is_decided_on():
    rule = PolicyRule(when=(PolicyCondition("connection.sni", ("A.com.",)),))
    assert meaning(rule, allows=True, carrier=Carrier.BYTES).operations == NOTHING
    assert meaning(rule, allows=False, carrier=Carrier.BYTES).operations == EVERYTHING
    name = TextMatch(TextKind.EXACT, "A.com", ignore_case=True)
    for allows in (True, False):
        known = meaning(rule, allows=allows, carrier=Carrier.HANDSHAKES)
        assert known.operations == SniIs(name)
        plain = meaning(rule, allows=allows, carrier=Carrier.REQUESTS)
        assert plain.operations == NOTHING, "there is no TLS, so there is no name"


def test_a_port_that_declares_tls_decides_on_the_connect_only_what_needs_no_server_name():
    by_name = PolicyRule(when=(PolicyCondition("connection.sni", ("a.com",)),))
    by_identity = policy(sources(namespaces=["a"]), name="l4")
    assert guard((by_identity,), MESH, 443).tls is None
    both = guard((by_identity, policy(by_name, name="sni")), MESH, 443)
    assert both.tls is not None
    assert both.tls_connect.allow is None
    assert len(both.tls.allow or ()) == 2
    denying = guard((by_identity, policy(by_name, action="DENY", name="sni")), MESH, 443)
    assert len(denying.tls_connect.allow or ()) == 1
    assert denying.tls_connect.deny == ()
    assert denying.connect == denying.tls_connect


@pytest.mark.parametrize("value", ["/a;b", "/a?b", "/a#b", "/a{*}", "/{*}b/c"])
def test_paths_that_no_request_can_have(value):
    with pytest.raises(UnusableValue):
        path(value)


@pytest.mark.parametrize("name", ["host", "Host", ":authority"])
def test_the_host_header_is_the_host(name):
    rule = PolicyRule(when=(PolicyCondition(f"request.headers[{name}]", ("A.com",)),))
    host = HostIs(TextMatch(TextKind.EXACT, "A.com", ignore_case=True))
    assert meaning(rule).sources == host


@pytest.mark.parametrize("value", [".", "*.", ":", "*:"])
def test_hosts_that_name_nothing(value):
    assert meaning(operations(hosts=[value]), allows=True).operations == NOTHING
    assert meaning(operations(hosts=[value]), allows=False).operations == EVERYTHING


def test_who_is_not_somebody_is_denied_even_without_an_identity():
    rule = sources(notPrincipals=["a/ns/b/sa/c"])
    named = PrincipalIs(exact("a/ns/b/sa/c"))
    assert meaning(rule, allows=False).sources == Not(named)
    assert meaning(rule, allows=True).sources == AllOf((ANY_PEER, Not(named)))
