"""Which control plane of several a Gateway is for (Istio's revisions)."""

from translators.gateway_api.binding import is_waypoint
from translators.gateway_api.inherited import own_or_inherited
from translators.ir.waypoint import Mesh
from translators.resources.gateway import Gateway
from translators.world import Reader

REVISION = "istio.io/rev"


def is_ours(reader: Reader, mesh: Mesh, gateway: Gateway) -> bool:
    """Whether a Gateway is a waypoint that we are to deploy and to speak about.

    The Gateway's own label decides before that of its namespace, be it empty (Istio's ``IsMine``).
    Where none names a revision it is ours, and so it is if our own revision is empty.
    """
    if not is_waypoint(reader, gateway):
        return False
    if not mesh.revision:
        return True
    asked = own_or_inherited(reader, gateway.meta, lambda meta: meta.labels.get(REVISION))
    return not asked or asked == mesh.revision
