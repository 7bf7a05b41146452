"""What ``waypost waypoint`` does, at any place, in istioctl's words."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from translators.gateway_api.labels import USE_WAYPOINT
from translators.ir.waypoint import WaypointName
from xds_server.waypoints.manifest import WaypointError, WaypointSpec
from xds_server.waypoints.place import Found, Place

Say = Callable[[str], None]

_DATAPLANE_MODE = "istio.io/dataplane-mode"
_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, and how often to look, in seconds."""

    timeout: float = 90.0
    poll: float = _POLL_S


@dataclass(frozen=True, slots=True)
class Enrolment:
    """That the waypoint's namespace is to use it, and whether it may use another now."""

    overwrite: bool = False


async def apply(
    place: Place,
    spec: WaypointSpec,
    enrolment: Enrolment | None,
    patience: Patience | None,
    say: Say,
) -> None:
    """Make a waypoint; wait for it and enrol its namespace, in that order, if so asked.

    Raises ``WaypointError``, before anything is changed unless it is the wait that fails.
    """
    waypoint = spec.name
    if enrolment is not None and not await _may_enrol(place, waypoint, enrolment, say):
        return
    before = await place.gateway(waypoint)
    if before is not None and not before.is_waypoint:
        raise WaypointError(
            f'gateway {waypoint} exists and is of class "{before.class_name}": it is no waypoint'
        )
    await place.apply(spec)
    say(f"✅ waypoint {waypoint} applied")
    if patience is not None:
        await _wait_until_ready(place, waypoint, patience)
        say(f"✅ waypoint {waypoint} is ready!")
    if enrolment is not None:
        await place.enrol(waypoint)
        say(f'✅ namespace {waypoint.namespace} labeled with "{USE_WAYPOINT}: {waypoint.name}"')


async def delete(place: Place, namespace: str, names: Sequence[str], say: Say) -> None:
    """Remove waypoints by name. Gateways that are none count as not found."""
    for name in names:
        waypoint = WaypointName(namespace, name)
        found = await place.gateway(waypoint)
        gone = found is None or not found.is_waypoint or not await place.delete(waypoint)
        say(f"waypoint {waypoint} {'not found' if gone else 'deleted'}")


async def names_of(place: Place, namespace: str, revision: str) -> list[str]:
    """The names of all waypoints in a namespace; of one revision, unless that is empty."""
    found = await waypoints(place, namespace)
    return [one.name.name for one in found if revision in ("", one.revision)]


async def waypoints(place: Place, namespace: str | None) -> list[Found]:
    """The waypoints of a namespace, or all, ordered by namespace and name."""
    return [found for found in await place.gateways(namespace) if found.is_waypoint]


async def settled_waypoints(
    place: Place, namespace: str | None, patience: Patience
) -> tuple[list[Found], WaypointName | None]:
    """The same as soon as all are ready, or when time is up: then with one that is not."""
    deadline = asyncio.get_running_loop().time() + patience.timeout
    while True:
        found = await waypoints(place, namespace)
        late = next((one.name for one in found if not one.is_ready), None)
        if late is None or not place.changes_by_itself:
            return found, None
        if asyncio.get_running_loop().time() + patience.poll > deadline:
            return found, late
        await asyncio.sleep(patience.poll)


async def _may_enrol(place: Place, waypoint: WaypointName, enrolment: Enrolment, say: Say) -> bool:
    labels = await place.namespace_labels(waypoint.namespace)
    if labels is None:
        raise WaypointError(f"namespace: {waypoint.namespace} not found")
    if labels.get(USE_WAYPOINT) and not enrolment.overwrite:
        say(
            f"⚠️ Warning: namespace ({waypoint.namespace}) already has an enrolled Waypoint. "
            "Consider adding the `--overwrite` flag to your apply command."
        )
        return False
    if labels.get(_DATAPLANE_MODE) != "ambient":
        say(
            "⚠️ Warning: namespace is not enrolled in ambient. Consider running\t"
            f"`kubectl label namespace {waypoint.namespace} {_DATAPLANE_MODE}=ambient`"
        )
    return True


async def _wait_until_ready(place: Place, waypoint: WaypointName, patience: Patience) -> None:
    deadline = asyncio.get_running_loop().time() + patience.timeout
    while True:
        found = await place.gateway(waypoint)
        if found is not None and found.is_ready:
            return
        late = asyncio.get_running_loop().time() + patience.poll > deadline
        if late or not place.changes_by_itself:
            why = f": {found.programmed.message}" if found is not None else ""
            raise WaypointError(f"timed out while waiting for waypoint\t{waypoint}{why}")
        await asyncio.sleep(patience.poll)
