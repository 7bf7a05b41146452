"""Which Gateways are ours to deploy."""

from translators.gateway_api.binding import is_waypoint
from translators.gateway_api.gateways import has_valid_listener
from translators.resources.core import Namespace
from translators.resources.gateway import Gateway
from translators.world import Reader

REVISION = "istio.io/rev"


def deployable(reader: Reader, gateway: Gateway, revision: str) -> bool:
    """Whether a Gateway is of our class and revision, and nobody else cares for its addresses.

    Its own revision label decides before that of its namespace; without one it is ours. One
    whose listeners are wrong is not deployed: nobody could reach it.
    """
    if gateway.wants_addresses or not is_waypoint(reader, gateway):
        return False
    return has_valid_listener(gateway) and _revision(reader, gateway) in ("", revision)


def _revision(reader: Reader, gateway: Gateway) -> str:
    if own := gateway.meta.labels.get(REVISION):
        return own
    namespace = reader.get(Namespace, "", gateway.meta.namespace)
    return namespace.meta.labels.get(REVISION, "") if namespace else ""
