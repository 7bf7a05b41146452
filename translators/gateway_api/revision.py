"""Which control plane of several a Gateway is for (Istio's revisions)."""

from translators.gateway_api.binding import is_waypoint
from translators.ir.waypoint import Mesh
from translators.resources.core import Namespace
from translators.resources.gateway import Gateway
from translators.world import Reader

REVISION = "istio.io/rev"


def is_ours(reader: Reader, mesh: Mesh, gateway: Gateway) -> bool:
    """Whether a Gateway is a waypoint that we are to deploy and to speak about.

    The Gateway's own label decides before that of its namespace; without one it is ours, and so it
    is if our revision is empty.
    """
    if not is_waypoint(reader, gateway):
        return False
    return not mesh.revision or _asked_for(reader, gateway) in ("", mesh.revision)


def _asked_for(reader: Reader, gateway: Gateway) -> str:
    if own := gateway.meta.labels.get(REVISION):
        return own
    namespace = reader.get(Namespace, "", gateway.meta.namespace)
    return namespace.meta.labels.get(REVISION, "") if namespace else ""
