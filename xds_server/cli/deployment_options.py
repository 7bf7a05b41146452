"""Options that say how waypoints are deployed."""

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from xds_server.cli.options import F, with_options

if TYPE_CHECKING:
    from translators.deployment import DeploymentSettings
    from translators.ir.waypoint import Mesh


_REVISION = "default"
_OPTIONS = (
    click.option(
        "--deploy/--no-deploy",
        "deploys",
        default=None,
        envvar="WAYPOST_DEPLOY",
        help="With --kubernetes and --status: run Envoys for the Gateways of waypoints; usual with "
        "--xds-tls, which they need.",
    ),
    click.option(
        "--revision",
        envvar="WAYPOST_REVISION",
        help="With --kubernetes: Gateways with another istio.io/rev are others' to deploy and to "
        f"speak about. [default: {_REVISION}]",
    ),
    click.option(
        "--waypoint-image",
        envvar="WAYPOST_WAYPOINT_IMAGE",
        help="The image of stock Envoy. [default: docker.io/envoyproxy/envoy:distroless-v1.40.0]",
    ),
    click.option(
        "--waypoint-xds",
        envvar="WAYPOST_WAYPOINT_XDS",
        metavar="HOST:PORT",
        help="Where waypoints reach this server. [default: waypost.NAMESPACE.svc:15012]",
    ),
    click.option(
        "--waypoint-concurrency",
        type=click.IntRange(1, 256),
        envvar="WAYPOST_WAYPOINT_CONCURRENCY",
        help="The number of worker threads of a waypoint's Envoy. [default: 2]",
    ),
    click.option(
        "--waypoint-drain",
        type=click.IntRange(1, 3600),
        envvar="WAYPOST_WAYPOINT_DRAIN",
        metavar="SECONDS",
        help="How long a waypoint's pod that is to end may finish what it has begun. [default: 20]",
    ),
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was asked for; None leaves it to the mesh's configuration, and then to the default."""

    deploys: bool | None
    image: str | None
    xds: str | None
    revision: str | None
    concurrency: int | None
    drain_s: int | None

    def is_wanted(self, *, writes: bool, is_reachable: bool) -> bool:
        """Whether to deploy, given whether we write to a cluster, and serve xDS for tokens there.

        Raises UsageError if it is asked for and can't be.
        """
        if self.deploys and not writes:
            raise click.UsageError("--deploy needs --kubernetes and --status")
        if self.deploys and not (is_reachable or self.xds):
            raise click.UsageError(
                "--deploy needs --xds-tls for tokens, or --waypoint-xds of another server"
            )
        return writes and (is_reachable if self.deploys is None else self.deploys)

    def revision_in(self, mesh: "Mesh") -> str:
        """The revision of our Gateways."""
        return self.revision or mesh.deployment.revision or _REVISION

    def settings(self, mesh: "Mesh", home: str, audience: str) -> "DeploymentSettings":
        """The settings of a server in the namespace ``home``, and with tokens for ``audience``.

        Raises UsageError.
        """
        from translators.deployment import DeploymentSettings

        said = mesh.deployment
        usual = DeploymentSettings(f"waypost.{home}.svc:15012")
        xds = self.xds or said.xds or usual.xds
        _check_address(xds)
        return DeploymentSettings(
            xds,
            image=self.image or said.image or usual.image,
            concurrency=self.concurrency or said.concurrency or usual.concurrency,
            drain_s=self.drain_s or said.drain_s or usual.drain_s,
            audience=audience,
        )


def _check_address(text: str) -> None:
    from xds_server.identity.peer import split_address

    try:
        split_address(text)
    except ValueError as problem:
        raise click.UsageError(f"--waypoint-xds: {problem}") from None


def deployment_options(command: F) -> F:
    """Add the options of deployment, which the command gets as ``deployment``."""

    @wraps(command)
    def with_deployment(
        deploys: bool | None,
        waypoint_image: str | None,
        waypoint_xds: str | None,
        revision: str | None,
        waypoint_concurrency: int | None,
        waypoint_drain: int | None,
        **others: Any,
    ) -> Any:
        given = Deployment(
            *(deploys, waypoint_image, waypoint_xds, revision),
            *(waypoint_concurrency, waypoint_drain),
        )
        return command(deployment=given, **others)

    return with_options(*_OPTIONS)(with_deployment)  # type: ignore[return-value]
