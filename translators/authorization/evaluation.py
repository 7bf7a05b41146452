"""What Envoy decides on a call, and why: the rules held against it, one predicate at a time."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import assert_never

from translators.authorization.request import Call, Claim, HttpHead
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
from translators.ir.host import split_host

_SPIFFE = "spiffe://"
_ANY = TextMatch(TextKind.PRESENT)


class Action(StrEnum):
    """What a rule does to the calls that it matches, in the order in which Envoy asks."""

    CUSTOM = "CUSTOM"
    AUDIT = "AUDIT"
    DENY = "DENY"
    WATCHED_DENY = "DENY (dry run)"
    ALLOW = "ALLOW"
    WATCHED_ALLOW = "ALLOW (dry run)"


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a predicate holds, and the same of its parts."""

    predicate: Predicate
    holds: bool
    parts: "tuple[Finding, ...]" = ()


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """One rule held against a call."""

    action: Action
    rule: AuthzRule
    sources: Finding
    operations: Finding

    @property
    def matches(self) -> bool:
        """Whether the rule applies to the call."""
        return self.sources.holds and self.operations.holds


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a call. ``by`` is the rule that decided; None if none did.

    Without a rule a call is allowed if there are no ALLOW rules at all, and denied if there are.
    ``trace`` has every rule, in Envoy's order. ``asked`` names the external authorizers that must
    consent as well.
    """

    allowed: bool
    by: RuleTrace | None
    trace: tuple[RuleTrace, ...]
    asked: tuple[str, ...] = ()


def decide(authorization: Authorization, call: Call) -> Decision:
    """Hold all rules against a call: a DENY that matches wins, then an ALLOW, then what is left."""
    trace = tuple(
        RuleTrace(action, rule, examine(rule.sources, call), examine(rule.operations, call))
        for action, rules in _in_order(authorization)
        for rule in rules
    )
    asked = tuple(_asked(authorization, trace))
    denying = _first_match(trace, Action.DENY)
    if denying is not None:
        return Decision(False, denying, trace, asked)
    allowing = _first_match(trace, Action.ALLOW)
    allowed = authorization.allow is None or allowing is not None
    return Decision(allowed, allowing, trace, asked)


def examine(predicate: Predicate, call: Call) -> Finding:
    """Whether a predicate holds for a call, part by part."""
    match predicate:
        case AllOf(parts):
            found = tuple(examine(part, call) for part in parts)
            return Finding(predicate, all(each.holds for each in found), found)
        case AnyOf(parts):
            found = tuple(examine(part, call) for part in parts)
            return Finding(predicate, any(each.holds for each in found), found)
        case Not(part):
            inner = examine(part, call)
            return Finding(predicate, not inner.holds, (inner,))
        case _:
            return Finding(predicate, _holds(predicate, call))


def _in_order(
    authorization: Authorization,
) -> Iterator[tuple[Action, tuple[AuthzRule, ...]]]:
    for check in authorization.custom:
        yield Action.CUSTOM, check.rules
    yield Action.AUDIT, authorization.audit
    yield Action.DENY, authorization.deny
    yield Action.WATCHED_DENY, authorization.dry_run_deny
    yield Action.ALLOW, authorization.allow or ()
    yield Action.WATCHED_ALLOW, authorization.dry_run_allow or ()


def _asked(authorization: Authorization, trace: Iterable[RuleTrace]) -> Iterator[str]:
    applying = {each.rule for each in trace if each.action is Action.CUSTOM and each.matches}
    for check in authorization.custom:
        if not applying.isdisjoint(check.rules):
            yield check.provider.name


def _first_match(trace: Iterable[RuleTrace], action: Action) -> RuleTrace | None:
    return next((each for each in trace if each.action is action and each.matches), None)


def _holds(predicate: Predicate, call: Call) -> bool:
    match predicate:
        case Everything():
            return True
        case Nothing():
            return False
        case PeerIs():
            return _is_peer(predicate, call.peer)
        case PrincipalIs(text):
            return call.peer.startswith(_SPIFFE) and _matches(text, call.peer[len(_SPIFFE) :])
        case SourceIp(cidr) | RemoteIp(cidr):
            return _in_range(call.source, cidr)
        case DestinationIp(cidr):
            return _in_range(call.destination, cidr)
        case DestinationPort(port):
            return call.port == port
        case SniIs(text):
            return any(_matches(text, name) for name in (call.sni, call.sni.removesuffix(".")))
        case HostIs() | MethodIs() | PathIs() | HeaderIs() | ClaimIs():
            return call.http is not None and _holds_of_head(predicate, call.http)
        case AllOf() | AnyOf() | Not():
            return examine(predicate, call).holds
        case _:
            assert_never(predicate)


def _holds_of_head(
    predicate: HostIs | MethodIs | PathIs | HeaderIs | ClaimIs, head: HttpHead
) -> bool:
    match predicate:
        case HostIs(text):
            return _is_host(text, head.host)
        case MethodIs(text):
            return _matches(text, head.method)
        case PathIs(text):
            return _matches(text, head.path)
        case HeaderIs(name, text):
            values = [value for key, value in head.headers if key == name]
            return any(text == _ANY or _matches(text, value) for value in values)
        case ClaimIs(keys, text):
            return any(_matches(text, value) for value in _claimed(head.claims, keys))
        case _:
            assert_never(predicate)


def _is_peer(wanted: PeerIs, peer: str) -> bool:
    match peer.removeprefix(_SPIFFE).split("/"):
        case [trust_domain, "ns", namespace, "sa", account] if peer.startswith(_SPIFFE):
            pairs = (
                (wanted.trust_domain, trust_domain),
                (wanted.namespace, namespace),
                (wanted.service_account, account),
            )
            return all(_matches(text or _ANY, segment) for text, segment in pairs)
        case _:
            return False


def _is_host(wanted: TextMatch, host: str) -> bool:
    if wanted.kind not in (TextKind.EXACT, TextKind.SUFFIX):
        return _matches(TextMatch(wanted.kind, wanted.value, ignore_case=True), host)
    name, port = split_host(host)
    wanted_name, wanted_port = split_host(wanted.value)
    return wanted_port in ("", port) and _matches(TextMatch(wanted.kind, wanted_name), name)


def _claimed(claims: Mapping[str, Claim], keys: tuple[str, ...]) -> Iterator[str]:
    """The texts of a claim: of none, of one, or of a list."""
    value: Claim = claims
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    for each in value if isinstance(value, list | tuple) else (value,):
        if isinstance(each, str):
            yield each


def _in_range(address: str, cidr: str) -> bool:
    return ip_address(address) in ip_network(cidr, strict=False)


def _matches(text: TextMatch, value: str) -> bool:
    wanted = text.value
    if text.ignore_case:
        wanted, value = wanted.lower(), value.lower()
    match text.kind:
        case TextKind.EXACT:
            return value == wanted
        case TextKind.PREFIX:
            return value.startswith(wanted)
        case TextKind.SUFFIX:
            return value.endswith(wanted)
        case TextKind.PRESENT:
            return value != ""
        case TextKind.TEMPLATE:
            return _template(wanted).fullmatch(value) is not None
        case _:
            assert_never(text.kind)


def _template(text: str) -> re.Pattern[str]:
    """``{*}`` is one segment, ``{**}`` is all that follows."""
    pieces = re.split(r"(\{\*\*?\})", text)
    wild = {"{*}": "[^/]+", "{**}": ".*"}
    return re.compile("".join(wild.get(piece) or re.escape(piece) for piece in pieces))
