"""What we say about an object, put into what its status says already. Pure.

Lists that the API server merges by key (conditions of Services, Gateways and GatewayClasses,
listeners) are given with our entries alone: what we no longer say it takes away by itself. Lists
that it takes as a whole (``parents`` of routes, conditions of Istio's kinds) are given with
everybody's entries, and with the revision in which these were read.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.resources.core import Service
from translators.resources.grpcroute import GRPCRoute
from translators.resources.httproute import HTTPRoute
from translators.resources.requestauthentication import RequestAuthentication
from translators.resources.serviceentry import ServiceEntry
from translators.resources.tcproute import TCPRoute, TLSRoute
from translators.resources.workloadentry import WorkloadEntry
from translators.status import ROUTE_CONTROLLER

MANAGER = "waypost.dev/status"
"""The field manager of what we write."""

Manifest = dict[str, Any]
_Key = Callable[[Manifest], object]

_ROUTES = frozenset(each.kind for each in (HTTPRoute, GRPCRoute, TCPRoute, TLSRoute))
_ENTRIES = frozenset(each.kind for each in (ServiceEntry, WorkloadEntry))
_ISTIOS = _ENTRIES | {each.kind for each in (AuthorizationPolicy, RequestAuthentication)}
_PARENTS = frozenset(each.kind for each in (Service, ServiceEntry))
_OURS = frozenset(  # nobody else says these of Istio's kinds, as far as they have our waypoints
    {"WaypointAccepted", "Programmed", "istio.io/WaypointBound", "istio.io/WaypointMissing"}
)
_OUR_DOMAIN = "waypost.dev/"
_TIME = "lastTransitionTime"


class Malformed(Exception):
    """A status is not of the form that its kind has."""


def merge(
    kind: str, live: Manifest, said: Manifest | None, now: str, *, is_ours: bool = False
) -> Manifest | None:
    """The object to apply to ``/status`` of ``live``, or None if that says it already.

    ``said`` is our part of the status, None if we have nothing to say any more; the times in it
    count for nothing: a condition keeps its time as long as its status is the same, else it
    changed ``now`` (RFC 3339). ``is_ours``: we are known to have written it before.
    Raises ``Malformed``: not every CRD says what its status looks like.
    """
    try:
        return _merge(kind, live, said, now, is_ours=is_ours)
    except (AttributeError, KeyError, TypeError) as error:
        raise Malformed(f"its status can't be read: {error}") from None


def _merge(
    kind: str, live: Manifest, said: Manifest | None, now: str, *, is_ours: bool
) -> Manifest | None:
    there: Manifest = live.get("status") or {}
    if kind in _ROUTES:
        is_ours = is_ours or any(_shares(live))
        return _whole(live, _with_parents(there, said or {}, now, is_ours=is_ours))
    if kind in _ENTRIES and said is None and not (is_ours or any(_shares(live))):
        return None  # Istio says the same of those that have waypoints of its own
    if kind in _ISTIOS:
        return _whole(live, _with_conditions(there, said or {}, now))
    status = _timed(said or {}, there, now)
    if _says(there, status) and not _stale(live, status):
        return None
    return _application(live, status)


def _whole(live: Manifest, status: Manifest) -> Manifest | None:
    """The application of a status of which everything is given; None if it is there already."""
    there = live.get("status") or {}
    if all((there.get(name) or None) == (value or None) for name, value in status.items()):
        return None
    application = _application(live, status)
    application["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
    return application


def _application(live: Manifest, status: Manifest) -> Manifest:
    metadata = {name: live["metadata"].get(name) for name in ("name", "namespace", "uid")}
    return {
        "apiVersion": live["apiVersion"],
        "kind": live["kind"],
        "metadata": {name: value for name, value in metadata.items() if value},
        "status": status,
    }


def _with_parents(there: Manifest, said: Manifest, now: str, *, is_ours: bool) -> Manifest:
    """All parents: others' entries as and where they are, ours as we say.

    Istio speaks by the same name, of its own waypoints and ingress: an entry that we don't say
    (any more) goes only if we are known to have written here, and never one for a Gateway.
    """
    ours = {_parent(entry): entry for entry in said.get("parents") or ()}
    parents = []
    for entry in there.get("parents") or ():
        named = entry.get("controllerName") == ROUTE_CONTROLLER
        if named and (mine := ours.pop(_parent(entry), None)) is not None:
            parents.append(_timed(mine, entry, now))
        elif not (named and is_ours and entry.get("parentRef", {}).get("kind") in _PARENTS):
            parents.append(entry)
    return {"parents": [*parents, *(_timed(entry, {}, now) for entry in ours.values())]}


def _parent(entry: Manifest) -> object:
    return tuple(sorted(entry.get("parentRef", {}).items()))


def _with_conditions(there: Manifest, said: Manifest, now: str) -> Manifest:
    """All conditions: others' as they are, then ours; beside them what we say of the whole."""
    timed = _timed({"conditions": [], **said}, there, now)
    foreign = [entry for entry in there.get("conditions") or () if not _is_ours(entry["type"])]
    return timed | {"conditions": [*foreign, *timed["conditions"]]}


def _is_ours(kind: str) -> bool:
    return kind in _OURS or kind.startswith(_OUR_DOMAIN)


def _timed(said: Manifest, there: Manifest, now: str) -> Manifest:
    """What we say with the times that its conditions have, given what is there."""
    status = dict(said)
    if "conditions" in said:
        known = _by(_type, there.get("conditions"))
        status["conditions"] = [_dated(entry, known, now) for entry in said["conditions"]]
    if "listeners" in said:
        listeners = _by(_name, there.get("listeners"))
        status["listeners"] = [
            _timed(entry, listeners.get(_name(entry), {}), now) for entry in said["listeners"]
        ]
    return status


def _dated(entry: Manifest, known: Mapping[object, Manifest], now: str) -> Manifest:
    before = known.get(_type(entry), {})
    is_same = before.get("status") == entry["status"] and before.get(_TIME)
    return {**entry, _TIME: before[_TIME] if is_same else now}


def _says(there: Any, said: Any) -> bool:
    """Whether a status has all that we say; entries of lists with a key may be in any order."""
    match said:
        case dict():
            known = there if isinstance(there, dict) else {}
            return all(_says(known.get(name), value) for name, value in said.items())
        case [{"type": _, "status": _}, *_]:
            typed = _by(_type, there)
            return all(typed.get(_type(entry)) == entry for entry in said)
        case [{"name": _}, *_]:
            named = _by(_name, there)
            return all(_says(named.get(_name(entry)), entry) for entry in said)
        case []:
            return not there
        case _:
            return bool(there == said)


def _stale(live: Manifest, status: Manifest) -> bool:
    """Whether the status holds keyed entries that we wrote and don't say any more."""
    return any(
        _owned(owned, field) > len(status.get(field) or ())
        for owned in _shares(live)
        for field in ("conditions", "listeners", "supportedFeatures")
    )


def _shares(live: Manifest) -> Iterator[Manifest]:
    """The fields of the status that are ours, as the API server notes them."""
    for share in live["metadata"].get("managedFields") or ():
        if (share.get("manager"), share.get("subresource")) == (MANAGER, "status"):
            yield share.get("fieldsV1", {}).get("f:status", {})


def _owned(fields: Manifest, field: str) -> int:
    """How many entries of a keyed list a manager owns."""
    return sum(key.startswith("k:") for key in fields.get(f"f:{field}") or ())


def _by(key: _Key, entries: Any) -> Mapping[object, Manifest]:
    return {key(entry): entry for entry in entries or ()}


def _type(entry: Manifest) -> object:
    return entry.get("type")


def _name(entry: Manifest) -> object:
    return entry.get("name")
