"""The model between Kubernetes and Envoy: frozen values that know neither."""

from translators.ir.authentication import TokenRules
from translators.ir.cluster import (
    ExternalCluster,
    InternalCluster,
    OriginateCluster,
    PassthroughCluster,
    ServiceCluster,
)
from translators.ir.condition import Condition
from translators.ir.endpoint import EndpointSet
from translators.ir.listener import (
    ConnectOriginate,
    ConnectTable,
    ConnectTerminate,
    DirectListener,
    InternalListener,
)
from translators.ir.origin import Origin
from translators.ir.route import RouteTable
from translators.ir.secret import Certificate, TrustBundle
from translators.ir.tls import TlsDispatcher, TlsInspector, TlsTable
from translators.ir.waypoint import Mesh, WaypointName

Node = (
    ConnectTerminate
    | ConnectOriginate
    | InternalListener
    | DirectListener
    | TlsInspector
    | TlsDispatcher
    | ConnectTable
    | TlsTable
    | TokenRules
    | RouteTable
    | InternalCluster
    | OriginateCluster
    | PassthroughCluster
    | ServiceCluster
    | ExternalCluster
    | EndpointSet
    | Certificate
    | TrustBundle
)
"""Each of these renders to one xDS resource; it is all that its renderer sees."""

__all__ = ["Condition", "Mesh", "Node", "Origin", "WaypointName"]
