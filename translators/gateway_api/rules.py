"""One rule of an HTTPRoute or a GRPCRoute as routes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from sys import intern
from typing import assert_never

from translators.gateway_api.actions import (
    cors_of,
    path_edit,
    redirect_action,
    redirect_of,
    rewrite_of,
)
from translators.gateway_api.backends import (
    mirrors,
    request_edits,
    rule_backend_issues,
    weight_issues,
    weighted_backends,
)
from translators.gateway_api.external_auth import authorizer_of
from translators.gateway_api.filters import filter_issues
from translators.gateway_api.forwarding import (
    forwarding_issues,
    persistence_of,
    retry_of,
    timeouts,
)
from translators.gateway_api.grpcroute import (
    as_http,
    grpc_filter_issues,
    grpc_match_issues,
    grpc_route_match,
)
from translators.gateway_api.headers import RESPONSE, edit_of
from translators.gateway_api.issues import Issue, unusable
from translators.gateway_api.matches import match_issues, route_match
from translators.gateway_api.precedence import (
    Ranked,
    Seniority,
    Specificity,
    grpc_specificity,
    http_specificity,
    seniority,
)
from translators.gateway_api.references import Referrer
from translators.gateway_api.scope import Scope
from translators.gateway_api.texts import is_name
from translators.ir.origin import Origin
from translators.ir.route import DirectResponse, Forward, Route, RouteAction, RouteMatch
from translators.ir.value import value
from translators.ir.waypoint import Mesh
from translators.resources.grpcroute import GRPCRoute, GrpcRule
from translators.resources.httproute import (
    BackendRef,
    HttpBackend,
    HTTPRoute,
    HttpRule,
    UrlRewrite,
)
from translators.world import Reader

Rule = HttpRule | GrpcRule

# What a client of gRPC learns is UNAVAILABLE, as the Gateway API wants it; a 500 would be UNKNOWN.
_GRPC_FAILS = DirectResponse(503)
_HTTP_FAILS = DirectResponse(500)
_NOTHING = (None, None, None, None)


@dataclass(frozen=True, slots=True)
class RouteContext:
    """A route where it is applied: for which port of a service, for whose peers.

    ``referrer`` is who refers to its backends, ``fails`` the answer where a rule can't be followed.
    ``owner`` is what ranks the route among others, ``known`` are the actions of rules that only
    forward, by their backends: most rules of a route have the same few.
    """

    scope: Scope
    route: HTTPRoute | GRPCRoute
    port: int
    peer_namespaces: tuple[str, ...]
    referrer: Referrer
    fails: DirectResponse
    owner: Seniority
    known: dict[tuple[HttpBackend, ...], RouteAction] = field(default_factory=dict)


@value
class RuleContext:
    """A rule of such a route, in the terms of an HTTPRoute.

    ``name`` is that of its routes, ``number`` a name that no other rule has.
    """

    of: RouteContext
    rule: HttpRule
    number: str
    name: str
    origin: Origin


def ranked_routes(
    scope: Scope,
    route: HTTPRoute | GRPCRoute,
    referrer: Referrer,
    port: int,
    peer_namespaces: tuple[str, ...],
) -> Iterator[Ranked]:
    """The routes of all rules of a route where it applies, one for each match."""
    fails = _GRPC_FAILS if isinstance(route, GRPCRoute) else _HTTP_FAILS
    owner = seniority(route.meta)
    context = RouteContext(scope, route, port, peer_namespaces, referrer, fails, owner)
    rules: tuple[Rule, ...] = route.rules
    for index, given in enumerate(rules):
        yield from _rule_routes(context, index, given)


def _rule_routes(of: RouteContext, index: int, given: Rule) -> Iterator[Ranked]:
    """The routes of a rule.

    A rule that asks for what can't be done answers 500, to a gRPC call UNAVAILABLE: a filter that
    is skipped, or a value that is guessed, would be worse. A match that can't be expressed is
    left out, because no match would come near to it.
    """
    context = _rule_context(of, index, http_terms(given))
    if _only_forwards(context.rule):
        make = _forwarding
    elif any(fatal_issues(given)) or any(consumer_issues(of.referrer, context.rule)):
        make = _failing
    else:
        make = _working
    for number, match, specificity in usable_matches(given, of.peer_namespaces):
        yield Ranked(specificity, of.owner, index, number, make(context, match))


def _rule_context(of: RouteContext, index: int, rule: HttpRule) -> RuleContext:
    """A rule in its place. Istio's name of its routes is its number, unless it names itself."""
    meta = of.route.meta
    number = f"{meta.namespace}.{meta.name}.{index}"
    name = rule.name if rule.name and is_name(rule.name) else number
    origin = Origin(of.route.kind, meta.namespace, meta.name, intern(f"spec.rules[{index}]"))
    return RuleContext(of, rule, number, name, origin)


def usable_matches(
    rule: Rule, peer_namespaces: tuple[str, ...] = ()
) -> Iterator[tuple[int, RouteMatch, Specificity]]:
    """The matches of a rule that can be expressed, each with its place in the rule."""
    match rule:
        case HttpRule():
            for index, one in enumerate(rule.matches):
                if not any(match_issues(one)):
                    wanted = route_match(one, peer_namespaces)
                    yield index, wanted, http_specificity(wanted)
        case GrpcRule():
            for index, call in enumerate(rule.matches):
                if not any(grpc_match_issues(call)):
                    wanted = grpc_route_match(call, peer_namespaces)
                    yield index, wanted, grpc_specificity(call.method, len(wanted.headers))
        case _:
            assert_never(rule)


def http_terms(rule: Rule) -> HttpRule:
    """What a rule asks for, in the terms of an HTTPRoute."""
    return as_http(rule) if isinstance(rule, GrpcRule) else rule


def fatal_issues(given: Rule) -> Iterator[Issue]:
    """Whatever makes a rule fail all of its requests; field paths are below the rule."""
    rule = http_terms(given)
    for path, reason in rule.unreadable:
        yield unusable(path, reason)
    if isinstance(given, GrpcRule):
        yield from grpc_filter_issues(given)
    yield from filter_issues(rule)
    yield from weight_issues(rule.backends)
    yield from forwarding_issues(rule)


def rule_issues(reader: Reader, mesh: Mesh, referrer: Referrer, rule: Rule) -> Iterator[Issue]:
    """All that is wrong with a rule; field paths are below the rule."""
    for index, found in enumerate(_match_issues(rule)):
        for issue in found:
            yield issue.below(f"matches[{index}]")
    yield from fatal_issues(rule)
    yield from consumer_issues(referrer, http_terms(rule))
    yield from rule_backend_issues(reader, mesh, referrer, http_terms(rule))


def consumer_issues(referrer: Referrer, rule: HttpRule) -> Iterator[Issue]:
    """What a consumer route must not do; field paths are below the rule.

    Policies have looked at the request as its client wrote it. A backend of another namespace must
    get it like that, or clients would write themselves a way around that namespace's policies.
    """
    if referrer.consumes is None or rewrite_of(rule) == UrlRewrite():
        return
    if any(_leads_away(referrer, backend.ref) for backend in rule.backends):
        message = (
            "a route of another namespace than its parent's can't rewrite host or path of requests "
            "to other namespaces: their policies have seen the request as it was"
        )
        yield unusable("filters", message)


def _leads_away(referrer: Referrer, ref: BackendRef) -> bool:
    """Whether a backend is of another namespace; a host name may be anybody's."""
    return ref.namespace != referrer.namespace or ref.kind == "Hostname"


def _match_issues(rule: Rule) -> Iterator[Iterator[Issue]]:
    match rule:
        case HttpRule():
            yield from map(match_issues, rule.matches)
        case GrpcRule():
            yield from map(grpc_match_issues, rule.matches)
        case _:
            assert_never(rule)


def _only_forwards(rule: HttpRule) -> bool:
    """Whether a rule asks for nothing but backends: only their weights can be wrong then."""
    asked = (rule.timeout_request, rule.timeout_backend, rule.retry, rule.session_persistence)
    return asked == _NOTHING and not (rule.filters or rule.unreadable)


def _forwarding(context: RuleContext, match: RouteMatch) -> Route:
    known, backends = context.of.known, context.rule.backends
    action = known.get(backends)
    if action is None:
        wrong = any(weight_issues(backends))
        action = known[backends] = context.of.fails if wrong else _forward(context, match)
    return Route(context.name, match, action, origin=context.origin)


def _failing(context: RuleContext, match: RouteMatch) -> Route:
    return Route(context.name, match, context.of.fails, origin=context.origin)


def _working(context: RuleContext, match: RouteMatch) -> Route:
    authorizer = authorizer_of(context.of.scope, context.of.referrer, context.rule)
    if isinstance(authorizer, Issue):
        return _failing(context, match)  # whoever can't be asked does not consent
    filters = context.rule.filters
    early, late = request_edits(context.of.referrer, filters)
    return Route(
        name=context.name,
        match=match,
        action=_action(context, match),
        early_headers=early,
        request_headers=late,
        response_headers=edit_of(filters, RESPONSE),
        cors=cors_of(context.rule),
        external_auth=authorizer.asked if authorizer else None,
        origin=context.origin,
    )


def _action(context: RuleContext, match: RouteMatch) -> RouteAction:
    redirect = redirect_of(context.rule)
    if redirect is not None:
        return redirect_action(redirect, match, context.of.port)
    return _forward(context, match)


def _forward(context: RuleContext, match: RouteMatch) -> RouteAction:
    """Send on; without any valid backend that has a weight it fails (Gateway API)."""
    of, rule = context.of, context.rule
    backends = weighted_backends(of.scope, of.referrer, rule)
    if not backends:
        return of.fails
    timeout, attempt_timeout = timeouts(rule)
    rewrite = rewrite_of(rule)
    return Forward(
        backends=backends,
        timeout_ms=timeout,
        attempt_timeout_ms=attempt_timeout,
        retry=retry_of(rule),
        host_rewrite=rewrite.hostname or "",
        path_rewrite=path_edit(rewrite.path, match),
        mirrors=mirrors(of.scope, of.referrer, rule),
        persistence=persistence_of(rule, context.number),
        invalid_status=of.fails.status,
    )
