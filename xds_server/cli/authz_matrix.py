"""Who may call which path."""

from collections.abc import Iterable, Iterator

from translators.authorization.enforcement import Enforcement, judge
from translators.authorization.request import Call, HttpHead
from translators.ir.authorization import (
    AllOf,
    AnyOf,
    AuthzRule,
    ClaimIs,
    HeaderIs,
    HostIs,
    Not,
    PathIs,
    PeerIs,
    Predicate,
    PrincipalIs,
    RemoteIp,
    SourceIp,
    TextKind,
    TextMatch,
)
from translators.ir.waypoint import Mesh
from translators.resources.core import Pod
from xds_server.cli.authz_text import align

_SAMPLE = "waypost-sample"
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_OTHERS = "(anyone else)"
_ELSEWHERE = "(other paths)"


def matrix_table(found: Enforcement, mesh: Mesh, pods: Iterable[Pod], source: str) -> str:
    """A row for each identity that pods or policies know, a column for each path of a policy."""
    if found.waypoint is None:
        return "\n".join(("NOT DECIDED HERE", *found.remarks))
    leaves = [leaf for rule in _rules(found) for leaf in _leaves(rule)]
    paths = {_ELSEWHERE: f"/{_SAMPLE}", **dict(_paths(leaves))}
    callers = {**dict(_callers(mesh, pods, leaves)), _OTHERS: mesh.identity_of(_SAMPLE, _SAMPLE)}
    rows = [
        (
            name,
            *(
                _cell(found, Call(peer, source, _to(found), found.port), path)
                for path in paths.values()
            ),
        )
        for name, peer in callers.items()
    ]
    return "\n".join([*align([("CALLER", *paths), *rows]), *_footnote(leaves), *found.remarks])


def _cell(found: Enforcement, call: Call, path: str) -> str:
    """The methods by which a call is allowed."""
    if not found.protocol.speaks_http:
        return "yes" if judge(found, call).allowed else "-"
    allowed = [
        method
        for method in _METHODS
        if judge(found, _with_head(call, HttpHead(method, found.host, path))).allowed
    ]
    return "any" if len(allowed) == len(_METHODS) else ",".join(allowed) or "-"


def _with_head(call: Call, head: HttpHead) -> Call:
    return Call(call.peer, call.source, call.destination, call.port, call.sni, head)


def _to(found: Enforcement) -> str:
    return found.addresses[0]


def _rules(found: Enforcement) -> Iterator[AuthzRule]:
    for authorization in (found.guard.http, found.guard.tcp, found.guard.layered):
        yield from authorization.deny
        yield from authorization.allow or ()


def _leaves(rule: AuthzRule) -> Iterator[Predicate]:
    pending: list[Predicate] = [rule.operations, rule.sources]
    while pending:
        match pending.pop():
            case AllOf(parts) | AnyOf(parts):
                pending += reversed(parts)
            case Not(part):
                pending.append(part)
            case leaf:
                yield leaf


def _paths(leaves: Iterable[Predicate]) -> Iterator[tuple[str, str]]:
    for leaf in leaves:
        match leaf:
            case PathIs(TextMatch(TextKind.EXACT, value)):
                yield value, value
            case PathIs(TextMatch(TextKind.PREFIX, value)):
                yield f"{value}*", value + _SAMPLE
            case PathIs(TextMatch(TextKind.SUFFIX, value)):
                yield f"*{value}", f"/{_SAMPLE}{value}"
            case PathIs(TextMatch(TextKind.TEMPLATE, value)):
                yield value, value.replace("{**}", _SAMPLE).replace("{*}", _SAMPLE)
            case _:
                pass


def _callers(
    mesh: Mesh, pods: Iterable[Pod], leaves: Iterable[Predicate]
) -> Iterator[tuple[str, str]]:
    """Display names and SPIFFE IDs: of the pods' service accounts and of those in policies."""
    accounts = sorted({(pod.meta.namespace, pod.service_account) for pod in pods})
    for namespace, account in accounts:
        yield f"{namespace}/{account}", mesh.identity_of(namespace, account)
    for leaf in leaves:
        match leaf:
            case PrincipalIs(TextMatch(TextKind.EXACT, value)):
                yield (
                    value.removeprefix(f"{mesh.trust_domain}/ns/").replace("/sa/", "/"),
                    f"spiffe://{value}",
                )
            case PeerIs(_, TextMatch(TextKind.EXACT, namespace), account_text):
                account = account_text.value if account_text else _SAMPLE
                shown = account if account_text else "*"
                yield f"{namespace}/{shown}", mesh.identity_of(namespace, account)
            case _:
                pass


def _footnote(leaves: Iterable[Predicate]) -> Iterator[str]:
    kinds = {
        HeaderIs: "headers",
        HostIs: "hosts",
        ClaimIs: "tokens",
        SourceIp: "source addresses",
        RemoteIp: "source addresses",
    }
    asked = sorted({kinds[type(leaf)] for leaf in leaves if type(leaf) in kinds})
    if asked:
        yield f"\nThe policies also ask for {', '.join(asked)}: see `waypost authz check`."
