"""Which Gateways are ours to deploy."""

from translators.gateway_api.gateways import has_valid_listener
from translators.gateway_api.revision import is_ours
from translators.ir.waypoint import Mesh
from translators.resources.gateway import Gateway
from translators.world import Reader


def deployable(reader: Reader, mesh: Mesh, gateway: Gateway) -> bool:
    """Whether a Gateway is of our class and revision, and nobody else cares for its addresses.

    One whose listeners are wrong is not deployed: nobody could reach it.
    """
    if gateway.wants_addresses or gateway.terminating:
        return False
    return has_valid_listener(gateway) and is_ours(reader, mesh, gateway)
