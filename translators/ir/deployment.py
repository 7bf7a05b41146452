"""What the mesh's configuration says of how waypoints are deployed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """What is empty or 0 is not said.

    ``image`` is stock Envoy, ``xds`` the control plane's ``host:port``, ``concurrency`` a number of
    worker threads, and ``drain_s`` how many seconds a pod that is to end has.
    """

    image: str = ""
    xds: str = ""
    revision: str = ""
    concurrency: int = 0
    drain_s: int = 0
