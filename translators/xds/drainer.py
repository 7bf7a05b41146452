"""An Envoy whose only work is to tell another one to drain, and to end some time after that.

The image of stock Envoy may hold nothing but Envoy: no shell, no curl. But draining is asked for
by a POST to the admin interface, which must not be open to others. So Envoy itself is the client
that a ``preStop`` hook runs: an active health check can be a POST, and a fault filter can wait.
"""

from datetime import timedelta

from envoy_data_plane.envoy.config.bootstrap.v3 import Admin, BootstrapStaticResources
from envoy_data_plane.envoy.config.bootstrap.v3 import Bootstrap as EnvoyBootstrap
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.core.v3 import (
    HealthCheck,
    HealthCheckHttpHealthCheck,
    RequestMethod,
)
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.extensions.filters.common.fault.v3 import FaultDelay
from envoy_data_plane.envoy.extensions.filters.http.fault.v3 import HttpFault
from envoy_data_plane.envoy.type.v3 import FractionalPercent

from translators.ir.bootstrap import Drainer
from translators.xds.address import socket_address, split_address
from translators.xds.probes import filter_, http_listener, local_cluster, route_to

_DRAIN = "/healthcheck/fail"  # answers ask clients to go, new connections are still taken
_END = "/quitquitquit"
_OWN_ADMIN = "own_admin"
_AGAIN = timedelta(milliseconds=500)


def drainer(node: Drainer) -> EnvoyBootstrap:
    """The bootstrap. Raises ValueError if an address of the node is not of its form."""
    patience = timedelta(seconds=node.seconds + 5)
    return EnvoyBootstrap(
        admin=Admin(address=socket_address(*split_address(node.own_admin))),
        static_resources=BootstrapStaticResources(
            listeners=[_clock(node)],
            clusters=[
                _post("drain", node.admin, _DRAIN, timedelta(seconds=1)),
                _post("end", node.clock, _END, patience),
                local_cluster(_OWN_ADMIN, node.own_admin),
            ],
        ),
    )


def _clock(node: Drainer) -> Listener:
    """Passes a request on to the own admin interface when it is time."""
    wait = FaultDelay(
        fixed_delay=timedelta(seconds=node.seconds), percentage=FractionalPercent(numerator=100)
    )
    delay = filter_("envoy.filters.http.fault", HttpFault(delay=wait))
    return http_listener("clock", node.clock, [delay], route_to(_OWN_ADMIN, _END))


def _post(name: str, address: str, path: str, timeout: timedelta) -> Cluster:
    """Posts to a path at once, and again until it works."""
    cluster = local_cluster(name, address)
    # Without this nothing would be listened to before the first answer, which the clock gives.
    cluster.wait_for_warm_on_init = False
    cluster.health_checks = [
        HealthCheck(
            timeout=timeout,
            interval=_AGAIN,
            no_traffic_interval=_AGAIN,
            unhealthy_threshold=1,
            healthy_threshold=1,
            http_health_check=HealthCheckHttpHealthCheck(
                path=path, host=name, method=RequestMethod.POST
            ),
        )
    ]
    return cluster
