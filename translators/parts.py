"""What services are translated from piece by piece, each piece remembered by itself."""

from collections.abc import Set
from typing import Any

from translators.authorization import PortPolicy, WaypointPolicies, waypoint_policies
from translators.gateway_api import RoutePart, RoutePlace, route_part
from translators.ir.waypoint import Mesh, WaypointName
from translators.memo import Memo
from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.resources.metadata import ObjectKey
from translators.world import Question, Reader, World

_PolicyPlace = tuple[ObjectKey, int | None]


class Parts:
    """Routes and policies where they are applied: read once, for whatever service needs them."""

    def __init__(self, world: World, mesh: Mesh) -> None:
        self._mesh = mesh
        self._routes = Memo(world, self._read_route, "route part")
        self._policies = Memo(world, self._read_policy, "port policy")
        self._common = Memo(world, self._read_common, "waypoint policies")

    def route(self, reader: Reader, _mesh: Mesh, place: RoutePlace) -> RoutePart:
        """What ``route_part`` gives."""
        return self._routes.recall(reader, place)

    def policy(
        self, reader: Reader, policy: AuthorizationPolicy, mesh: Mesh, port: int | None
    ) -> PortPolicy:
        """The policy as it is read for a port (None: for all ports of a pod)."""
        found = self._policies.recall(reader, (policy.key, port))
        return found or PortPolicy(policy, mesh, port)

    def waypoint_policies(
        self, reader: Reader, _mesh: Mesh, waypoint: WaypointName
    ) -> WaypointPolicies:
        """What ``waypoint_policies`` gives."""
        return self._common.recall(reader, waypoint)

    def invalidate(self, touched: Set[Question]) -> set[Question]:
        """Forget what may be another by now; the result is the questions that it answered."""
        memos: tuple[Memo[Any, Any], ...] = (self._routes, self._policies, self._common)
        return set().union(*(memo.questions_about(memo.invalidate(touched)) for memo in memos))

    def _read_route(self, reader: Reader, place: RoutePlace) -> RoutePart:
        return route_part(reader, self._mesh, place)

    def _read_common(self, reader: Reader, waypoint: WaypointName) -> WaypointPolicies:
        return waypoint_policies(reader, self._mesh, waypoint)

    def _read_policy(self, reader: Reader, place: _PolicyPlace) -> PortPolicy | None:
        policy = reader.find(place[0])
        if not isinstance(policy, AuthorizationPolicy):
            return None
        return PortPolicy(policy, self._mesh, place[1])
