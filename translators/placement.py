"""Which endpoints come first, seen from where a proxy runs.

All proxies of a waypoint get the same resources but for these: the endpoints of services that ask
for near ones, once for each place that makes a difference.
"""

from dataclasses import replace

from translators.ir.endpoint import Endpoint, EndpointSet
from translators.ir.place import Nearness, Place


def placed(found: EndpointSet, place: Place) -> EndpointSet:
    """The endpoints in the order of their nearness: of the next place only if one has none.

    To a proxy of whose place nothing is known all are equally near.
    """
    if not _is_known(place):
        return found
    chosen = found.endpoints
    if found.node_only and place.node:
        chosen = tuple(one for one in chosen if one.node == place.node)
    ranks = {one: _distance(one, place, found.nearness) for one in chosen}
    priorities = {rank: priority for priority, rank in enumerate(sorted(set(ranks.values())))}
    near = (one._replace(priority=priorities[rank]) for one, rank in ranks.items())
    return replace(found, endpoints=tuple(near))


def _is_known(place: Place) -> bool:
    return bool(place.zone or place.node or place.region)


def _distance(endpoint: Endpoint, place: Place, nearness: Nearness) -> int:
    """0 on the same node, 1 in the same zone, 2 in the same region, else 3 (Istio's failover)."""
    if nearness is Nearness.NODE and place.node and endpoint.node == place.node:
        return 0
    where = endpoint.locality
    if place.zone and where.zone == place.zone and where.region in ("", place.region):
        return 1
    return 2 if place.region and where.region == place.region else 3
