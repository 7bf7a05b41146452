"""Connections to a port that declares nothing, if they turn out to carry no HTTP.

A request that comes slowly enough looks like that too. Where requests need what bytes can't show,
consent or a token, bytes are therefore not let in.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from translators.gateway_api.ports import PortGuard
from translators.ir.authorization import (
    Authorization,
    AuthzRule,
    PeerIs,
    Predicate,
    TextKind,
    TextMatch,
    closed,
)
from translators.ir.origin import Origin
from translators.ir.predicate import EVERYTHING, any_of
from translators.ir.route import Route


def opaque_authorization(
    guard: PortGuard, routes: Iterable[Route], service: Origin
) -> Authorization:
    """Who may send bytes to a port of a service, whose requests go by these routes."""
    found = closed(guard.tcp)
    return replace(found, deny=(*found.deny, *_lacking(guard, routes, service)))


def _lacking(guard: PortGuard, routes: Iterable[Route], service: Origin) -> Iterator[AuthzRule]:
    if any(provider.required for provider in guard.authentication.providers):
        yield AuthzRule("bytes-show-no-token", EVERYTHING, EVERYTHING, service)
    asking = [route for route in routes if route.external_auth is not None]
    if asking:
        who = any_of(_peers(route) for route in asking)
        yield AuthzRule("bytes-get-no-consent", who, EVERYTHING, service)


def _peers(route: Route) -> Predicate:
    """Whose requests the route is for."""
    names = route.match.peer_namespaces
    if not names:
        return EVERYTHING
    return any_of(PeerIs(namespace=TextMatch(TextKind.EXACT, name)) for name in names)
