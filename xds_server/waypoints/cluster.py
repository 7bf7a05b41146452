"""The waypoints of a cluster, through its API server."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from translators.gateway_api.binding import WAYPOINT_CLASS
from translators.gateway_api.labels import USE_WAYPOINT, WAYPOINT_FOR
from translators.ir.waypoint import TrafficType, WaypointName
from xds_server.sources.kubernetes.transport import TransportError
from xds_server.status.objects import Manifest, Objects, Refused
from xds_server.waypoints.manifest import (
    API_VERSION,
    REVISION,
    WaypointError,
    WaypointSpec,
    manifest,
)
from xds_server.waypoints.place import UNTOLD, Found, Programmed

MANAGER = "waypost.dev/cli"
"""The field manager of all that is applied here."""

T = TypeVar("T")

_GROUP = f"/apis/{API_VERSION}"
_NO_CRDS = "missing Kubernetes Gateway CRDs need to be installed before applying a waypoint"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A place (``Place``) whose waypoints become ready by their controller's work."""

    objects: Objects
    changes_by_itself: bool = field(default=True, init=False)

    async def gateways(self, namespace: str | None) -> list[Found]:
        """The Gateways of a namespace, or all, ordered by namespace and name."""
        default = await self._default_traffic()
        path = f"{_GROUP}/gateways" if namespace is None else _gateways(namespace)
        found = [_found(each, default) async for each in self._all(path)]
        return sorted(found, key=lambda one: one.name)

    async def gateway(self, name: WaypointName) -> Found | None:
        """One Gateway, if it is there."""
        found = await self._find(f"{_gateways(name.namespace)}/{name.name}")
        return None if found is None else _found(found, await self._default_traffic())

    async def namespace_labels(self, name: str) -> Mapping[str, str] | None:
        """The labels of a namespace, None if there is no such."""
        found = await self._find(f"/api/v1/namespaces/{name}")
        return None if found is None else _labels(found)

    async def apply(self, spec: WaypointSpec) -> None:
        """Server-side apply; labels of an earlier one that are not asked for now go."""
        path = f"{_gateways(spec.name.namespace)}/{spec.name.name}"
        try:
            await _answered(self.objects.apply(path, manifest(spec), MANAGER))
        except _Absent as missing:
            raise WaypointError(f"{_NO_CRDS}: {missing}") from None

    async def enrol(self, waypoint: WaypointName) -> None:
        """Label the namespace; nothing else of it is touched."""
        home = waypoint.namespace
        labelled = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": home, "labels": {USE_WAYPOINT: waypoint.name}},
        }
        await _answered(self.objects.apply(f"/api/v1/namespaces/{home}", labelled, MANAGER))

    async def delete(self, name: WaypointName) -> bool:
        """Remove a Gateway; False if it is gone already."""
        try:
            await _answered(self.objects.delete(f"{_gateways(name.namespace)}/{name.name}"))
        except _Absent:
            return False
        return True

    async def _find(self, path: str) -> Manifest | None:
        try:
            return await _answered(self.objects.get(path))
        except _Absent:
            return None

    async def _all(self, path: str) -> Any:
        pages = aiter(self.objects.all(path))
        while (item := await _answered(anext(pages, None))) is not None:
            yield item

    async def _default_traffic(self) -> str:
        """What a waypoint without a label of its own handles."""
        try:
            found = await self._find(f"{_GROUP}/gatewayclasses/{WAYPOINT_CLASS}")
        except WaypointError:  # those who may manage waypoints need not be let see their class
            found = None
        return (_labels(found).get(WAYPOINT_FOR) if found else None) or TrafficType.SERVICE


class _Absent(WaypointError):
    """There is no such object, or no such kind of objects."""


async def _answered(call: Awaitable[T]) -> T:
    """The API server's answer. Raises ``WaypointError`` for all that may go wrong."""
    try:
        return await call
    except Refused as refusal:
        kind = _Absent if refusal.code == 404 else WaypointError
        raise kind(str(refusal)) from None
    except TransportError as problem:
        raise WaypointError(f"the API server can't be reached: {problem}") from None


def _gateways(namespace: str) -> str:
    return f"{_GROUP}/namespaces/{namespace}/gateways"


def _labels(found: Manifest) -> Mapping[str, str]:
    return found["metadata"].get("labels") or {}


def _found(gateway: Manifest, default_traffic: str) -> Found:
    metadata, labels = gateway["metadata"], _labels(gateway)
    return Found(
        WaypointName(metadata["namespace"], metadata["name"]),
        gateway["spec"]["gatewayClassName"],
        labels.get(REVISION, ""),
        labels.get(WAYPOINT_FOR) or default_traffic,
        _programmed(gateway),
    )


def _programmed(gateway: Manifest) -> Programmed:
    """What is said of this generation of the Gateway; what was said of another doesn't count."""
    generation = gateway["metadata"].get("generation", 0)
    for said in gateway.get("status", {}).get("conditions") or ():
        is_current = said.get("observedGeneration", generation) >= generation
        if said["type"] == "Programmed" and is_current:
            return Programmed(said["status"], said["reason"], said["message"])
    return UNTOLD
