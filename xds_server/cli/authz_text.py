"""Decisions for people and for programs."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from translators.authorization.enforcement import Enforcement, Stage, Verdict
from translators.authorization.evaluation import RuleTrace
from translators.authorization.explanation import explain
from translators.authorization.request import Call
from xds_server.cli.authz_trial import Heard

_GAP = "   "
_ON_REQUEST = "at every request, also on connections that are open"
_ON_CONNECTION = (
    "once, when the connection is opened; maxConnectionDuration bounds how long it may outlive that"
)


def as_table(
    found: Enforcement,
    call: Call,
    verdict: Verdict,
    bypass: str | None,
    heard: Heard | None,
    asked: dict[str, Any],
) -> str:
    """The decision, why, and every rule with its result."""
    name = f"connection for {call.sni} " if call.sni else "connection "
    what = f"{asked['method']} {asked['path']} " if call.http else name
    facts = [
        (_word(found, verdict, bypass), f"{what}on {found.host}:{found.port}"),
        ("from", f"{call.peer} at {call.source}"),
        ("by", f"waypoint {found.waypoint}" if found.waypoint else "no waypoint"),
        *(("why", why) for why in _reasons(found, verdict, bypass)),
        ("when", _ON_REQUEST if call.http else _ON_CONNECTION),
        *(("note", remark) for remark in _remarks(found, call)),
        *([("envoy", heard.text)] if heard else []),
    ]
    lines = list(align(facts))
    for stage in verdict.stages:
        rows = list(_rows(found, stage, last=stage is verdict.stages[-1]))
        if rows:
            head = ("ACTION", "RULE", "RESULT", "WHY", "ENVOY POLICY")
            lines += ["", f"Decided {stage.where}:", *align([head, *rows])]
    return "\n".join(lines)


def as_json(
    found: Enforcement,
    call: Call,
    verdict: Verdict,
    bypass: str | None,
    heard: Heard | None,
    asked: dict[str, Any],
) -> str:
    """The same as one JSON object; its shape is kept."""
    head = ("action", "rule", "result", "why", "envoyPolicy")
    answer = {
        "apiVersion": "waypost.dev/v1",
        "decision": _word(found, verdict, bypass),
        "reasons": list(_reasons(found, verdict, bypass)),
        "remarks": list(_remarks(found, call)),
        "decidedAnew": "request" if call.http else "connection",
        "waypoint": str(found.waypoint) if found.waypoint else None,
        "service": {"host": found.host, "port": found.port, "protocol": found.protocol.value},
        "from": {"principal": call.peer, "ip": call.source},
        "request": {"method": asked["method"], "path": asked["path"], "host": asked["host"]},
        "connection": {"sni": call.sni, "carriesHttp": call.http is not None},
        "stages": [
            {
                "where": stage.where,
                "allowed": stage.decision.allowed,
                "rules": [
                    dict(zip(head, row, strict=True))
                    for row in _rows(found, stage, last=stage is verdict.stages[-1])
                ],
            }
            for stage in verdict.stages
        ],
        "envoy": None if heard is None else {"status": heard.status, "allowed": heard.allowed},
    }
    return json.dumps(answer, indent=2)


def align(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        yield _GAP.join(cells).rstrip()


def _word(found: Enforcement, verdict: Verdict, bypass: str | None) -> str:
    if found.waypoint is None or bypass is not None:
        return "NOT DECIDED HERE"
    return "ALLOW" if verdict.allowed else "DENY"


def _reasons(found: Enforcement, verdict: Verdict, bypass: str | None) -> Iterator[str]:
    if bypass is not None:
        yield bypass
    if found.waypoint is None:
        return
    if verdict.refusal is not None:
        yield f"Envoy answers {verdict.refusal.value}"
    for stage in verdict.stages[-1:]:
        decision = stage.decision
        if decision.by is not None:
            yield f"{decision.by.rule.origin} {decision.by.action.lower()}s it"
        elif decision.allowed:
            yield "no policy denies it, and none says who is allowed"
        else:
            yield "there are ALLOW policies, and none of their rules applies"
        for name in decision.asked:
            yield f"the external authorizer {name} must consent too"


def _remarks(found: Enforcement, call: Call) -> Iterator[str]:
    yield from found.remarks
    if call.http is not None and found.guard.authentication.providers:
        yield "tokens in headers are not verified here: say by --claim what a valid one holds"


def _rows(
    found: Enforcement, stage: Stage, *, last: bool
) -> Iterator[tuple[str, str, str, str, str]]:
    """Every rule that was asked, and at the last stage every one that can't apply to the port."""
    yield from map(_row, stage.decision.trace)
    if not last:
        return
    asked = {str(trace.rule.origin) for trace in stage.decision.trace}
    for policy in found.policies:
        name = f"{policy.meta.namespace}/{policy.meta.name}"
        if not policy.rules:
            yield policy.action, name, "no match", "it has no rules", ""
        for path in (f"spec.rules[{index}]" for index in range(len(policy.rules))):
            whole = (f"AuthorizationPolicy {name} {path}", f"AuthorizationPolicy {name} spec")
            if asked.isdisjoint(whole):
                yield policy.action, f"{name} {path}", "no match", "it can't apply here", ""


def _row(trace: RuleTrace) -> tuple[str, str, str, str, str]:
    origin = trace.rule.origin
    place = f"{origin.namespace}/{origin.name} {origin.path}".rstrip()
    result = "match" if trace.matches else "no match"
    return trace.action.value, place, result, explain(trace), trace.rule.key
