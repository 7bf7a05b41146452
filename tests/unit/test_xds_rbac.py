"""Authorization as RBAC: what each predicate becomes, and which filter each list of rules arms."""

from typing import Any

import pytest
import re2

from translators.ir import Origin
from translators.ir.authorization import (
    AllOf,
    AnyOf,
    Authorization,
    AuthzRule,
    ClaimIs,
    DestinationIp,
    DestinationPort,
    Everything,
    HeaderIs,
    HostIs,
    MethodIs,
    Not,
    Nothing,
    PathIs,
    PeerIs,
    Predicate,
    PrincipalIs,
    RemoteIp,
    SniIs,
    SourceIp,
    TextKind,
    TextMatch,
)
from translators.xds.filters.menu import Filter, per_filter_config
from translators.xds.filters.rbac import armed_rbac, armed_verdicts
from translators.xds.permission import permission
from translators.xds.principal import principal

ORIGIN = Origin("AuthorizationPolicy", "shop", "p")
PEER_KEY = "io.istio.peer_principal"


def exactly(value: str) -> TextMatch:
    return TextMatch(TextKind.EXACT, value)


def rule(key: str = "r") -> AuthzRule:
    return AuthzRule(key, Everything(), Everything(), ORIGIN)


def armed(authorization: Authorization) -> dict[str, Any]:
    return {
        name: config.to_dict()["rbac"]
        for name, config in per_filter_config(armed_rbac(authorization)).items()
    }


# --- which filters are armed, and how


def test_open_authorization_arms_nothing():
    assert armed(Authorization()) == {}
    assert list(armed_verdicts(Authorization())) == []


def test_deny_rules_arm_only_the_deny_filter():
    (name,) = configs = armed(Authorization(deny=(rule("a"), rule("b"))))
    assert name == Filter.DENY
    assert configs[name]["rules"]["action"] == "DENY"
    assert list(configs[name]["rules"]["policies"]) == ["a", "b"]


def test_allow_without_rules_is_enforced_and_has_no_policy_to_match():
    config = per_filter_config(armed_rbac(Authorization(allow=())))[Filter.ALLOW]
    # Field 2 (rbac) with field 1 (rules) present and empty: ALLOW of nothing.
    assert config.to_dict()["rbac"] == {"rules": {}}


def test_audit_logs():
    assert armed(Authorization(audit=(rule(),)))[Filter.AUDIT]["rules"]["action"] == "LOG"


def test_dry_run_is_watched_and_not_enforced():
    configs = armed(Authorization(dry_run_deny=(rule(),), dry_run_allow=()))
    assert "rules" not in configs[Filter.DENY]
    assert configs[Filter.DENY]["shadowRules"]["action"] == "DENY"
    assert configs[Filter.DENY]["shadowRulesStatPrefix"] == "istio_dry_run_deny_"
    assert "rules" not in configs[Filter.ALLOW]
    assert configs[Filter.ALLOW]["shadowRules"] == {}
    assert configs[Filter.ALLOW]["shadowRulesStatPrefix"] == "istio_dry_run_allow_"


def test_all_three_stand_in_istios_order():
    everything = Authorization(allow=(rule(),), deny=(rule(),), audit=(rule(),))
    assert list(armed(everything)) == [Filter.AUDIT, Filter.DENY, Filter.ALLOW]
    verdicts = list(armed_verdicts(everything))
    assert [each.filter for each in verdicts] == [Filter.OPAQUE_DENY, Filter.OPAQUE_ALLOW]
    for each in verdicts:
        assert "rules" not in each.config.to_dict()["rbac"], "noted, not done"


def test_two_rules_of_one_key_are_an_error_and_not_a_lost_rule():
    with pytest.raises(ValueError, match="two authorization rules"):
        armed(Authorization(deny=(rule("same"), rule("same"))))


# --- logic

ANY, NONE = {"any": True}, {"notRule": {"any": True}}


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (Everything(), ANY),
        (Nothing(), NONE),
        (AllOf(()), ANY),
        (AnyOf(()), NONE),
        (Not(Everything()), NONE),
        (
            AllOf((DestinationPort(1), Nothing())),
            {"andRules": {"rules": [{"destinationPort": 1}, NONE]}},
        ),
        (
            AnyOf((DestinationPort(1), Nothing())),
            {"orRules": {"rules": [{"destinationPort": 1}, NONE]}},
        ),
    ],
)
def test_logic_of_permissions(predicate: Predicate, expected: dict[str, Any]):
    assert permission(predicate).to_dict() == expected


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (Everything(), {"any": True}),
        (Nothing(), {"notId": {"any": True}}),
        (AllOf(()), {"any": True}),
        (AnyOf(()), {"notId": {"any": True}}),
        (
            AnyOf((Everything(), Nothing())),
            {"orIds": {"ids": [{"any": True}, {"notId": {"any": True}}]}},
        ),
    ],
)
def test_logic_of_principals(predicate: Predicate, expected: dict[str, Any]):
    assert principal(predicate).to_dict() == expected


# --- identity


def peer_matcher(predicate: Predicate) -> dict[str, Any]:
    matcher = principal(predicate).to_dict()["filterState"]
    assert matcher["key"] == PEER_KEY
    return dict(matcher["stringMatch"])


def peer_regex(peer: PeerIs) -> Any:
    return re2.compile(peer_matcher(peer)["safeRegex"]["regex"])


def test_a_whole_identity_is_compared_as_a_whole():
    peer = PeerIs(exactly("td"), exactly("shop"), exactly("cart"))
    assert peer_matcher(peer) == {"exact": "spiffe://td/ns/shop/sa/cart"}


def test_no_character_of_a_namespace_is_a_wildcard():
    pattern = peer_regex(PeerIs(namespace=exactly("a.b")))
    assert pattern.fullmatch("spiffe://td/ns/a.b/sa/x")
    assert not pattern.fullmatch("spiffe://td/ns/aXb/sa/x")


def test_a_wildcard_ends_at_its_segment():
    pattern = peer_regex(PeerIs(namespace=TextMatch(TextKind.PREFIX, "a")))
    assert pattern.fullmatch("spiffe://td/ns/abc/sa/x")
    assert not pattern.fullmatch("spiffe://td/ns/b/sa/ns/a/sa/x")
    assert not pattern.fullmatch("spiffe://td/ns/a/b/sa/x")


def test_suffix_and_presence_of_segments():
    suffix = peer_regex(PeerIs(service_account=TextMatch(TextKind.SUFFIX, "-admin")))
    assert suffix.fullmatch("spiffe://td/ns/a/sa/db-admin")
    assert not suffix.fullmatch("spiffe://td/ns/a/sa/db-admins")
    present = peer_regex(PeerIs(trust_domain=TextMatch(TextKind.PRESENT)))
    assert present.fullmatch("spiffe://td/ns/a/sa/b")
    assert not present.fullmatch("spiffe:///ns/a/sa/b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (exactly("td/ns/a/sa/b"), {"exact": "spiffe://td/ns/a/sa/b"}),
        (TextMatch(TextKind.PREFIX, "td/ns/a"), {"prefix": "spiffe://td/ns/a"}),
        (TextMatch(TextKind.PREFIX, ""), {"prefix": "spiffe://"}),
    ],
)
def test_principals(text: TextMatch, expected: dict[str, Any]):
    assert peer_matcher(PrincipalIs(text)) == expected


def test_principal_suffix_and_presence():
    suffix = PrincipalIs(TextMatch(TextKind.SUFFIX, "/sa/a.b"))
    pattern = re2.compile(peer_matcher(suffix)["safeRegex"]["regex"])
    assert pattern.fullmatch("spiffe://td/ns/x/sa/a.b")
    assert not pattern.fullmatch("spiffe://td/ns/x/sa/aXb")
    present = PrincipalIs(TextMatch(TextKind.PRESENT))
    pattern = re2.compile(peer_matcher(present)["safeRegex"]["regex"])
    assert pattern.fullmatch("spiffe://x")
    assert not pattern.fullmatch("spiffe://")


@pytest.mark.parametrize("kind", [SourceIp, RemoteIp])
def test_client_addresses_come_from_filter_state_and_never_from_headers(kind: type):
    matcher = principal(kind("10.1.2.3/8")).to_dict()["filterState"]
    assert matcher["key"] == "envoy.filters.listener.original_dst.remote_ip"
    assert matcher["addressMatch"] == {"ranges": [{"addressPrefix": "10.0.0.0", "prefixLen": 8}]}


def test_a_plain_address_is_a_range_of_one_and_zero_length_is_kept():
    one = principal(SourceIp("fd00::1")).to_dict()["filterState"]["addressMatch"]["ranges"]
    assert one == [{"addressPrefix": "fd00::1", "prefixLen": 128}]
    every = principal(SourceIp("0.0.0.0/0")).to_dict()["filterState"]["addressMatch"]["ranges"]
    assert every == [{"addressPrefix": "0.0.0.0", "prefixLen": 0}]


# --- requests


@pytest.mark.parametrize(
    ("predicate", "expected"),
    [
        (
            HostIs(TextMatch(TextKind.PREFIX, "Example.")),
            {
                "header": {
                    "name": ":authority",
                    "stringMatch": {"prefix": "Example.", "ignoreCase": True},
                }
            },
        ),
        (
            MethodIs(exactly("GET")),
            {"header": {"name": ":method", "stringMatch": {"exact": "GET"}}},
        ),
        (HeaderIs("x-a", exactly("")), {"header": {"name": "x-a", "stringMatch": {"exact": ""}}}),
        (PathIs(TextMatch(TextKind.PREFIX, "/a")), {"urlPath": {"path": {"prefix": "/a"}}}),
        (
            DestinationIp("10.0.0.0/8"),
            {"destinationIp": {"addressPrefix": "10.0.0.0", "prefixLen": 8}},
        ),
        (SniIs(exactly("a.com")), {"requestedServerName": {"exact": "a.com"}}),
    ],
)
def test_permissions(predicate: Predicate, expected: dict[str, Any]):
    assert permission(predicate).to_dict() == expected


HOSTS = {
    "a.com": ("a.com", "A.Com", "a.com.", "a.com:80", "a.com.:80", "a.com:"),
    "a.com:80": ("a.com:80", "a.com.:80", "A.COM:80"),
    "[::1]": ("[::1]", "[::1]:80"),
    "[::1]:80": ("[::1]:80",),
    "aXcom": ("aXcom",),
    "b.a.com": ("b.a.com", "b.a.com:80"),
}


@pytest.mark.parametrize(
    ("text", "matched"),
    [
        (exactly("a.com"), ["a.com", "a.com:80"]),
        (exactly("A.com."), ["a.com", "a.com:80"]),
        (exactly("a.com:80"), ["a.com:80"]),
        (exactly("[::1]"), ["[::1]", "[::1]:80"]),
        (TextMatch(TextKind.SUFFIX, ".a.com"), ["b.a.com"]),
        (TextMatch(TextKind.SUFFIX, ":80"), ["a.com:80", "[::1]:80"]),
    ],
)
def test_hosts_are_compared_as_names(text: TextMatch, matched: list[str]):
    matcher = permission(HostIs(text)).to_dict()["header"]
    pattern = re2.compile(matcher["stringMatch"]["safeRegex"]["regex"])
    for name in matched:
        assert all(pattern.fullmatch(spelling) for spelling in HOSTS[name])
    others = {spelling for name in HOSTS.keys() - matched for spelling in HOSTS[name]}
    alike = {spelling for name in matched for spelling in HOSTS[name]}
    assert not any(pattern.fullmatch(each) for each in others - alike if ":80" not in each)


def test_path_templates_are_patterns_of_escaped_parts():
    template = PathIs(TextMatch(TextKind.TEMPLATE, "/a.b/{*}/c/{**}"))
    matcher = permission(template).to_dict()["urlPath"]["path"]
    assert principal(template).to_dict()["urlPath"]["path"] == matcher
    pattern = re2.compile(matcher["safeRegex"]["regex"])
    for path in ("/a.b/x/c/", "/a.b/x/c/y/z", "/a.b/[*]/c/"):
        assert pattern.fullmatch(path)
    for path in ("/aXb/x/c/", "/a.b/x/y/c/", "/a.b//c/", "/a.b/x/c"):
        assert not pattern.fullmatch(path)


def test_any_value_of_a_header_will_do_and_a_star_asks_for_no_value():
    matcher = principal(HeaderIs("x-a", TextMatch(TextKind.PRESENT))).to_dict()["header"]
    assert matcher == {"name": "x-a", "presentMatch": True}


def test_empty_prefixes_and_suffixes_match_every_text():
    for kind in (TextKind.PREFIX, TextKind.SUFFIX):
        matcher = permission(PathIs(TextMatch(kind))).to_dict()["urlPath"]["path"]
        assert matcher == {"safeRegex": {"regex": "(?s:.)*"}}


def test_a_claim_is_a_text_or_a_list_that_holds_it():
    matcher = principal(ClaimIs(("a", "b"), exactly("v"))).to_dict()["sourcedMetadata"][
        "metadataMatcher"
    ]
    assert matcher["filter"] == "envoy.filters.http.jwt_authn"
    assert [segment["key"] for segment in matcher["path"]] == ["payload", "a", "b"]
    text = {"stringMatch": {"exact": "v"}}
    assert matcher["value"]["orMatch"]["valueMatchers"] == [text, {"listMatch": {"oneOf": text}}]


@pytest.mark.parametrize(
    "predicate",
    [PeerIs(), PrincipalIs(exactly("a")), SourceIp("10.0.0.1"), RemoteIp("10.0.0.1")],
)
def test_sources_are_no_permissions(predicate: Predicate):
    with pytest.raises(ValueError, match="source"):
        permission(predicate)


@pytest.mark.parametrize(
    "predicate", [DestinationIp("::/0"), DestinationPort(1), SniIs(exactly("a"))]
)
def test_destinations_are_no_principals(predicate: Predicate):
    with pytest.raises(ValueError, match="operation"):
        principal(predicate)
