"""One rule of an HTTPRoute as routes."""

from collections.abc import Iterator
from dataclasses import dataclass

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
from translators.gateway_api.headers import REQUEST, RESPONSE, edit_of
from translators.gateway_api.issues import Issue, unusable
from translators.gateway_api.matches import match_issues, route_match
from translators.gateway_api.precedence import Ranked
from translators.gateway_api.scope import Scope
from translators.gateway_api.texts import is_name
from translators.ir.origin import Origin
from translators.ir.route import DirectResponse, Forward, Route, RouteAction, RouteMatch
from translators.ir.waypoint import Mesh
from translators.resources.httproute import HTTPRoute, HttpRule
from translators.world import Reader

_FAILS = DirectResponse(500)


@dataclass(frozen=True, slots=True)
class RuleContext:
    """A rule where it is applied: of which route, for which port of a service, for whose peers."""

    scope: Scope
    route: HTTPRoute
    index: int
    port: int
    peer_namespaces: tuple[str, ...] = ()

    @property
    def rule(self) -> HttpRule:
        """The rule itself."""
        return self.route.rules[self.index]

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

    A rule that asks for what can't be done answers 500: a filter that is skipped, or a value that
    is guessed, would be worse. A match that can't be expressed is left out, because no match
    would come near to it.
    """
    fails = any(fatal_issues(context.rule))
    for index, match in enumerate(context.rule.matches):
        if any(match_issues(match)):
            continue
        wanted = route_match(match, context.peer_namespaces)
        route = _failing(context, wanted) if fails else _working(context, wanted)
        yield Ranked(route, context.route.meta, context.index, index)


def fatal_issues(rule: HttpRule) -> Iterator[Issue]:
    """Whatever makes a rule answer 500; field paths are below the rule."""
    for path, reason in rule.unreadable:
        yield unusable(path, reason)
    yield from filter_issues(rule)
    yield from weight_issues(rule)
    yield from forwarding_issues(rule)


def rule_issues(reader: Reader, mesh: Mesh, rule: HttpRule) -> Iterator[Issue]:
    """All that is wrong with a rule; field paths are below the rule."""
    for index, match in enumerate(rule.matches):
        for issue in match_issues(match):
            yield issue.below(f"matches[{index}]")
    yield from fatal_issues(rule)
    yield from rule_backend_issues(reader, mesh, rule)


def _origin(context: RuleContext) -> Origin:
    meta = context.route.meta
    return Origin(HTTPRoute.kind, meta.namespace, meta.name, f"spec.rules[{context.index}]")


def _failing(context: RuleContext, match: RouteMatch) -> Route:
    return Route(context.name, match, _FAILS, origin=_origin(context))


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
    """Send on; without any valid backend that has a weight the answer is 500 (Gateway API)."""
    rule = context.rule
    backends = weighted_backends(context.scope, rule)
    if not backends:
        return _FAILS
    timeout, attempt_timeout = timeouts(rule)
    rewrite = rewrite_of(rule)
    return Forward(
        backends=backends,
        timeout_ms=timeout,
        attempt_timeout_ms=attempt_timeout,
        retry=retry_of(rule),
        host_rewrite=rewrite.hostname or "",
        path_rewrite=path_edit(rewrite.path, match),
        mirrors=mirrors(context.scope, rule),
        persistence=persistence_of(rule, context.number),
    )
