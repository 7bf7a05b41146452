"""All that policies do at a waypoint: what is demanded, who decides, and where that leads."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from translators.authorization.attachment import (
    BY_TARGET,
    TOKENS_BY_TARGET,
    OfWaypoint,
    WaypointPolicies,
    waypoint_policies,
    with_own,
)
from translators.authorization.custom import Provider, known_providers
from translators.authorization.guard import Guard, PortPolicy, ReadPolicy, guard, layered
from translators.authorization.tokens import Tokens, tokens_of
from translators.gateway_api.served import Served
from translators.gateway_api.upstreams import Upstream
from translators.ir.waypoint import Mesh, WaypointName
from translators.world import Reader


def protection(
    reader: Reader,
    mesh: Mesh,
    waypoint: WaypointName,
    service: Served,
    read: ReadPolicy = PortPolicy,
    of_waypoint: OfWaypoint = waypoint_policies,
) -> Callable[[int], Guard]:
    """What guards a service of a waypoint, port by port."""
    common = of_waypoint(reader, mesh, waypoint)
    own = common._replace(
        policies=with_own(common.policies, reader, service, BY_TARGET),
        tokens=with_own(common.tokens, reader, service, TOKENS_BY_TARGET),
    )
    return _guards(reader, mesh, own, read)


def pod_protection(
    reader: Reader, mesh: Mesh, waypoint: WaypointName, read: ReadPolicy = PortPolicy
) -> Guard:
    """What guards every port of every pod that a waypoint serves by its own address.

    As in Istio only policies that target the Gateway or its class do.
    """
    return _guards(reader, mesh, waypoint_policies(reader, mesh, waypoint), read)(None)


def _guards(
    reader: Reader, mesh: Mesh, found: WaypointPolicies, read: ReadPolicy
) -> Callable[[int | None], Guard]:
    tokens = tokens_of(reader, mesh, found.tokens)
    providers = dict(known_providers(reader, mesh, found.policies))

    def of_port(port: int | None) -> Guard:
        made = guard(found.policies, mesh, port, providers, read)
        return replace(
            made,
            layered=layered(found.layered, mesh, port),
            authentication=tokens.authentication,
            upstreams=_upstreams(tokens, providers.values()),
        )

    return of_port


def _upstreams(tokens: Tokens, providers: Iterable[Provider]) -> tuple[Upstream, ...]:
    asked = ((one.cluster, one.destination) for one in providers)
    return (*tokens.upstreams, *asked)
