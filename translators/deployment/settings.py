"""What the objects of all waypoints have in common."""

from dataclasses import dataclass

from translators.ir.bootstrap import TOKEN_AUDIENCE

DEFAULT_IMAGE = "docker.io/envoyproxy/envoy:distroless-v1.40.0"


@dataclass(frozen=True, slots=True)
class DeploymentSettings:
    """How Envoys are deployed.

    ``image`` is stock Envoy, ``xds`` the control plane's ``host:port`` as pods reach it.
    ``concurrency`` is the number of worker threads, ``drain_s`` how many seconds a pod that is to
    end has for its open requests, and ``audience`` is whom the pods' tokens are for.
    """

    xds: str
    image: str = DEFAULT_IMAGE
    concurrency: int = 2
    drain_s: int = 20
    audience: str = TOKEN_AUDIENCE
