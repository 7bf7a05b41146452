"""Decisions in words: what a rule asked for, and what decided that it applies or not."""

from typing import assert_never

from translators.authorization.evaluation import Finding, RuleTrace
from translators.ir.authorization import (
    AllOf,
    AnyOf,
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


def explain(trace: RuleTrace) -> str:
    """Why a rule applies to a call, or the first thing because of which it does not."""
    sides = (trace.sources, trace.operations)
    if not trace.matches:
        return next(_why(side) for side in sides if not side.holds)
    said = [_why(side) for side in sides if side.predicate != Everything()]
    return ", ".join(said) or "it applies to everything"


def _why(finding: Finding) -> str:
    match finding.predicate:
        case AllOf() if finding.holds:
            return ", ".join(map(_why, finding.parts))
        case AllOf():
            return next(_why(part) for part in finding.parts if not part.holds)
        case AnyOf() if finding.holds:
            return next(_why(part) for part in finding.parts if part.holds)
        case AnyOf():
            return f"neither {' nor '.join(describe(part.predicate) for part in finding.parts)}"
        case Not(part):
            return f"{'not' if finding.holds else 'it is'} {describe(part)}"
        case predicate:
            return describe(predicate) if finding.holds else f"not {describe(predicate)}"


def describe(predicate: Predicate) -> str:  # noqa: C901 (a closed union)
    """A predicate in the words of the API."""
    match predicate:
        case Everything():
            return "anything"
        case Nothing():
            return "what never is"
        case AllOf(parts):
            return "(" + " and ".join(map(describe, parts)) + ")"
        case AnyOf(parts):
            return "(" + " or ".join(map(describe, parts)) + ")"
        case Not(part):
            return f"not {describe(part)}"
        case PeerIs():
            return _peer(predicate)
        case PrincipalIs(text):
            return f"principal {_text(text)}"
        case SourceIp(cidr):
            return f"source IP in {cidr}"
        case RemoteIp(cidr):
            return f"remote IP in {cidr}"
        case DestinationIp(cidr):
            return f"destination IP in {cidr}"
        case DestinationPort(port):
            return f"port {port}"
        case SniIs(text):
            return f"server name {_text(text)}"
        case HostIs(text):
            return f"host {_text(text)}"
        case MethodIs(text):
            return f"method {_text(text)}"
        case PathIs(text):
            return f"path {_text(text)}"
        case HeaderIs(name, text):
            return f"header {name}: {_text(text)}"
        case ClaimIs(keys, text):
            return f"claim {'.'.join(keys)} {_text(text)}"
        case _:
            assert_never(predicate)


def _peer(peer: PeerIs) -> str:
    segments = (
        ("trust domain", peer.trust_domain),
        ("namespace", peer.namespace),
        ("service account", peer.service_account),
    )
    return ", ".join(f"{name} {_text(text)}" for name, text in segments if text) or "any peer"


def _text(text: TextMatch) -> str:
    match text.kind:
        case TextKind.PREFIX:
            return f"{text.value}*"
        case TextKind.SUFFIX:
            return f"*{text.value}"
        case TextKind.PRESENT:
            return "*"
        case TextKind.EXACT | TextKind.TEMPLATE:
            return text.value
        case _:
            assert_never(text.kind)
