"""Deploying waypoints on a cluster: what is to be there is applied, by the elected leader.

``translators.deployment`` says what is to be there. ``live`` compares that with what is, without
any I/O; ``shelf`` follows what is, and ``parameters`` reads what users want otherwise. ``jobs``
says what that makes to do, ``workshop`` does it, and ``deployer`` says whose turn it is.
"""

from xds_server.deployment.deployer import Deployer
from xds_server.deployment.jobs import Wishes
from xds_server.deployment.shelf import Shelf, managed_source
from xds_server.deployment.workshop import Workshop

__all__ = ["Deployer", "Shelf", "Wishes", "Workshop", "managed_source"]
