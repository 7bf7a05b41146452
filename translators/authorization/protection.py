"""All that policies do at a waypoint: what is demanded, who decides, and where that leads."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from translators.authorization.attachment import (
    BY_TARGET,
    TOKENS_BY_TARGET,
    attached,
    attached_to_waypoint,
    layered_policies,
)
from translators.authorization.custom import Provider, known_providers
from translators.authorization.guard import Guard, PortPolicy, ReadPolicy, guard, layered
from translators.authorization.tokens import Tokens, tokens_of
from translators.gateway_api.served import Served
from translators.gateway_api.upstreams import Upstream
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.resources.requestauthentication import RequestAuthentication
from translators.world import Reader


def protection(
    reader: Reader,
    mesh: Mesh,
    waypoint: WaypointName,
    service: Served,
    read: ReadPolicy = PortPolicy,
) -> Callable[[int], Guard]:
    """What guards a service of a waypoint, port by port."""
    policies = attached(reader, mesh, waypoint, service, BY_TARGET)
    tokens = attached(reader, mesh, waypoint, service, TOKENS_BY_TARGET)
    return _guards(reader, mesh, waypoint, policies, tokens, read)


def pod_protection(
    reader: Reader, mesh: Mesh, waypoint: WaypointName, read: ReadPolicy = PortPolicy
) -> Guard:
    """What guards every port of every pod that a waypoint serves by its own address.

    As in Istio only policies that target the Gateway or its class do.
    """
    policies = attached_to_waypoint(reader, mesh, waypoint, BY_TARGET)
    tokens = attached_to_waypoint(reader, mesh, waypoint, TOKENS_BY_TARGET)
    return _guards(reader, mesh, waypoint, policies, tokens, read)(None)


def _guards(
    reader: Reader,
    mesh: Mesh,
    waypoint: WaypointName,
    policies: list[AuthorizationPolicy],
    authentications: list[RequestAuthentication],
    read: ReadPolicy,
) -> Callable[[int | None], Guard]:
    tokens = tokens_of(reader, mesh, authentications)
    providers = dict(known_providers(reader, mesh, policies))
    on_tunnels = layered_policies(reader, mesh, waypoint)

    def of_port(port: int | None) -> Guard:
        made = guard(policies, mesh, port, providers, read)
        return replace(
            made,
            layered=layered(on_tunnels, mesh, port),
            authentication=tokens.authentication,
            upstreams=_upstreams(tokens, providers.values()),
        )

    return of_port


def _upstreams(tokens: Tokens, providers: Iterable[Provider]) -> tuple[Upstream, ...]:
    asked = ((one.cluster, one.destination) for one in providers)
    return (*tokens.upstreams, *asked)
