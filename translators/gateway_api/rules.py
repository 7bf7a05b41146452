"""One rule of an HTTPRoute or a GRPCRoute as routes."""

from collections.abc import Iterator
from dataclasses import dataclass
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
    rule_backend_issues,
    weight_issues,
    weighted_backends,
)
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
from translators.gateway_api.headers import REQUEST, RESPONSE, edit_of
from translators.gateway_api.issues import Issue, unusable
from translators.gateway_api.matches import match_issues, route_match
from translators.gateway_api.precedence import (
    Ranked,
    Specificity,
    grpc_specificity,
    http_specificity,
)
from translators.gateway_api.references import Referrer
from translators.gateway_api.scope import Scope
from translators.gateway_api.texts import is_name
from translators.ir.origin import Origin
from translators.ir.route import DirectResponse, Forward, Route, RouteAction, RouteMatch
from translators.ir.waypoint import Mesh
from translators.resources.grpcroute import GRPCRoute, GrpcRule
from translators.resources.httproute import HTTPRoute, HttpRule
from translators.world import Reader

Rule = HttpRule | GrpcRule

# What a client of gRPC learns is UNAVAILABLE, as the Gateway API wants it; a 500 would be UNKNOWN.
_GRPC_FAILS = 503
_HTTP_FAILS = 500


@dataclass(frozen=True, slots=True)
class RuleContext:
    """A rule where it is applied: of which route, for which port of a service, for whose peers."""

    scope: Scope
    route: HTTPRoute | GRPCRoute
    index: int
    port: int
    peer_namespaces: tuple[str, ...] = ()

    @property
    def given(self) -> Rule:
        """The rule itself."""
        return self.route.rules[self.index]

    @property
    def rule(self) -> HttpRule:
        """What the rule asks for, in the terms of an HTTPRoute."""
        return http_terms(self.given)

    @property
    def referrer(self) -> Referrer:
        """Who refers to the rule's backends."""
        return Referrer(self.route.kind, self.route.meta.namespace)

    @property
    def fails(self) -> DirectResponse:
        """The answer where the rule can't be followed."""
        return DirectResponse(_GRPC_FAILS if isinstance(self.route, GRPCRoute) else _HTTP_FAILS)

    @property
    def name(self) -> str:
        """Istio's name of the rule's routes, or the one that the rule gives itself."""
        return self.rule.name if is_name(self.rule.name) else self.number

    @property
    def number(self) -> str:
        """A name that no other rule has."""
        return f"{self.route.meta.namespace}.{self.route.meta.name}.{self.index}"


def rule_routes(context: RuleContext) -> Iterator[Ranked]:
    """The routes of a rule, one for each match.

    A rule that asks for what can't be done answers 500, to a gRPC call UNAVAILABLE: a filter that
    is skipped, or a value that is guessed, would be worse. A match that can't be expressed is
    left out, because no match would come near to it.
    """
    fails = any(fatal_issues(context.given))
    for index, match, specificity in usable_matches(context.given, context.peer_namespaces):
        route = _failing(context, match) if fails else _working(context, match)
        yield Ranked(route, specificity, context.route.meta, context.index, index)


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
    yield from rule_backend_issues(reader, mesh, referrer, http_terms(rule))


def _match_issues(rule: Rule) -> Iterator[Iterator[Issue]]:
    match rule:
        case HttpRule():
            yield from map(match_issues, rule.matches)
        case GrpcRule():
            yield from map(grpc_match_issues, rule.matches)
        case _:
            assert_never(rule)


def _origin(context: RuleContext) -> Origin:
    meta = context.route.meta
    return Origin(context.route.kind, meta.namespace, meta.name, f"spec.rules[{context.index}]")


def _failing(context: RuleContext, match: RouteMatch) -> Route:
    return Route(context.name, match, context.fails, origin=_origin(context))


def _working(context: RuleContext, match: RouteMatch) -> Route:
    filters = context.rule.filters
    return Route(
        name=context.name,
        match=match,
        action=_action(context, match),
        request_headers=edit_of(filters, REQUEST),
        response_headers=edit_of(filters, RESPONSE),
        cors=cors_of(context.rule),
        origin=_origin(context),
    )


def _action(context: RuleContext, match: RouteMatch) -> RouteAction:
    redirect = redirect_of(context.rule)
    if redirect is not None:
        return redirect_action(redirect, match, context.port)
    return _forward(context, match)


def _forward(context: RuleContext, match: RouteMatch) -> RouteAction:
    """Send on; without any valid backend that has a weight it fails (Gateway API)."""
    rule = context.rule
    backends = weighted_backends(context.scope, context.referrer, rule)
    if not backends:
        return context.fails
    timeout, attempt_timeout = timeouts(rule)
    rewrite = rewrite_of(rule)
    return Forward(
        backends=backends,
        timeout_ms=timeout,
        attempt_timeout_ms=attempt_timeout,
        retry=retry_of(rule),
        host_rewrite=rewrite.hostname or "",
        path_rewrite=path_edit(rewrite.path, match),
        mirrors=mirrors(context.scope, context.referrer, rule),
        persistence=persistence_of(rule, context.number),
        invalid_status=context.fails.status,
    )
