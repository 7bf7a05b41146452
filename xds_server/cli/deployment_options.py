"""Options that say how waypoints are deployed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from translators.deployment import DeploymentSettings

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--waypoint-drain",
        type=click.IntRange(1, 3600),
        envvar="WAYPOST_WAYPOINT_DRAIN",
        default=20,
        show_default=True,
        metavar="SECONDS",
        help="How long a waypoint's pod that is to end may finish what it has begun.",
    ),
    click.option(
        "--waypoint-concurrency",
        type=click.IntRange(1, 256),
        envvar="WAYPOST_WAYPOINT_CONCURRENCY",
        default=2,
        show_default=True,
        help="The number of worker threads of a waypoint's Envoy.",
    ),
    click.option(
        "--waypoint-xds",
        envvar="WAYPOST_WAYPOINT_XDS",
        metavar="HOST:PORT",
        help="Where waypoints reach this server. [default: waypost.NAMESPACE.svc:15012]",
    ),
    click.option(
        "--waypoint-image",
        envvar="WAYPOST_WAYPOINT_IMAGE",
        help="The image of stock Envoy. [default: docker.io/envoyproxy/envoy:distroless-v1.40.0]",
    ),
    click.option(
        "--revision",
        envvar="WAYPOST_REVISION",
        default="default",
        show_default=True,
        help="Gateways with another istio.io/rev are not deployed.",
    ),
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was asked for; None and empty leave it open."""

    image: str | None
    xds: str | None
    revision: str
    concurrency: int
    drain_s: int

    def settings(self, home: str, audience: str) -> "DeploymentSettings":
        """The settings of a server in the namespace ``home``, and with tokens for ``audience``."""
        from translators.deployment import DEFAULT_IMAGE, DeploymentSettings

        return DeploymentSettings(
            xds=self.xds or f"waypost.{home}.svc:15012",
            image=self.image or DEFAULT_IMAGE,
            revision=self.revision,
            concurrency=self.concurrency,
            drain_s=self.drain_s,
            audience=audience,
        )


def deployment_options(command: F) -> F:
    """Add the options of deployment, which the command gets as ``deployment``."""

    @wraps(command)
    def with_deployment(
        waypoint_image: str | None,
        waypoint_xds: str | None,
        revision: str,
        waypoint_concurrency: int,
        waypoint_drain: int,
        **others: Any,
    ) -> Any:
        given = Deployment(
            waypoint_image, waypoint_xds, revision, waypoint_concurrency, waypoint_drain
        )
        return command(deployment=given, **others)

    decorated: Any = with_deployment
    for option in _OPTIONS:
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]
