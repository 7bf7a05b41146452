"""``waypost serve``."""

import socket
import uuid
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xds_server.cli.deployment_options import Deployment, deployment_options
from xds_server.cli.options import mesh_options
from xds_server.cli.secure_xds import secure_xds_options
from xds_server.cli.source_options import SourceOptions, source_options

if TYPE_CHECKING:
    from translators.deployment import DeploymentSettings
    from translators.ir.waypoint import Mesh
    from xds_server.cli.secure_xds import SecureXdsOptions
    from xds_server.deployment import Deployer
    from xds_server.serving.server import Addresses
    from xds_server.sources.kubernetes.login import Login
    from xds_server.status import StatusWriter

_DRAIN_S = 20.0
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_STATE = Path("~/.local/state/waypost/ca").expanduser()


@click.command()
@source_options
@click.option(
    "--status/--no-status",
    "writes_status",
    envvar="WAYPOST_STATUS",
    default=True,
    show_default=True,
    help="With --kubernetes: write to the objects what became of them.",
)
@deployment_options
@click.option(
    "--namespace",
    envvar="WAYPOST_NAMESPACE",
    help="Where replicas agree on who writes; else that of this pod, or the root namespace.",
)
@click.option(
    "--ca-dir",
    default=_STATE,
    show_default=True,
    envvar="WAYPOST_CA_DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the certificate authority lives; made at first start.",
)
@click.option(
    "--xds",
    "xds_address",
    default="127.0.0.1:15010",
    show_default=True,
    envvar="WAYPOST_XDS",
    metavar="ADDRESS",
    help="Where Envoys connect: a loopback ip:port or unix:/path.",
)
@click.option(
    "--admin",
    "admin_address",
    default="127.0.0.1:15014",
    show_default=True,
    envvar="WAYPOST_ADMIN",
    metavar="IP:PORT",
    help="Where people and probes look.",
)
@click.option(
    "--drain",
    "drain_s",
    type=click.FloatRange(min=0),
    envvar="WAYPOST_DRAIN",
    metavar="SECONDS",
    help="How long a server that is to end may take to hand its Envoys over to other replicas, "
    "by default 20 with --kubernetes and 0 without. A second signal ends it at once.",
)
@click.option(
    "--linger",
    "linger_s",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    envvar="WAYPOST_LINGER",
    metavar="SECONDS",
    help="How long a waypoint still answers for a service that has gone to another one.",
)
@secure_xds_options
@mesh_options
def serve(
    source: SourceOptions,
    writes_status: bool,
    deployment: Deployment,
    namespace: str | None,
    ca_dir: Path,
    xds_address: str,
    admin_address: str,
    drain_s: float | None,
    linger_s: float,
    secure_xds: "SecureXdsOptions",
    mesh: "Mesh",
) -> None:
    """Serve Envoys their configuration, and follow its changes.

    The objects come from a folder (--manifests) or from a cluster (--kubernetes). Each option can
    also be set in the environment: WAYPOST_XDS_TLS is --xds-tls, and so on; those that are
    repeatable have a name in the plural and are separated by spaces.
    """
    import asyncio

    from xds_server.identity.authority import AuthorityError
    from xds_server.serving import log_to_stderr, server
    from xds_server.sources.source import SourceError

    deploys = deployment.is_wanted(
        writes=source.is_cluster and writes_status, is_reachable=secure_xds.takes_tokens
    )
    if source.is_cluster:
        mesh = replace(mesh, revision=deployment.revision_in(mesh))
    _check_addresses(xds_address, admin_address)
    log_to_stderr()
    try:
        home = namespace or _own_namespace(mesh.root_namespace)
        objects, login = source.open()
        status = _status(login, home) if login is not None and writes_status else None
        deployed = deployment.settings(mesh, home, secure_xds.audience) if deploys else None
        deployer = _deployer(login, status, mesh, deployed)
        settings = server.Settings(
            ca_dir,
            xds_address,
            admin_address,
            mesh,
            secure_xds.listener(login, home, mesh),
            drain_s if drain_s is not None else _DRAIN_S if source.is_cluster else 0.0,
            linger_s,
        )
        asyncio.run(server.serve(settings, objects, _announce, status, deployer))
    except (AuthorityError, SourceError, OSError, RuntimeError) as problem:
        raise click.ClickException(str(problem)) from None


def _check_addresses(xds: str, admin: str) -> None:
    """Raises UsageError for what nothing can listen on, or should."""
    from xds_server.identity.peer import InsecureAddress, check_plaintext_address, split_address

    try:
        check_plaintext_address(xds)
    except InsecureAddress as problem:
        raise click.UsageError(f"--xds: {problem}") from None
    try:
        split_address(admin)
    except ValueError as problem:
        raise click.UsageError(f"--admin: {problem}") from None


def _status(login: "Login", namespace: str) -> "StatusWriter":
    from xds_server.serving.permissions import LEASE
    from xds_server.sources.kubernetes.transport import Transport
    from xds_server.status import Leader, Objects, StatusWriter

    objects = Objects(Transport(login))
    identity = f"{socket.gethostname()}_{uuid.uuid4()}"
    return StatusWriter(objects, Leader(objects, namespace, LEASE, identity))


def _deployer(
    login: "Login | None",
    status: "StatusWriter | None",
    mesh: "Mesh",
    settings: "DeploymentSettings | None",
) -> "Deployer | None":
    """What deploys waypoints, by the leader that writes status; None if it is not asked for."""
    from xds_server.deployment import Deployer, managed_source

    if login is None or status is None or settings is None:
        return None
    return Deployer(status.objects, status.leader, managed_source(login), mesh, settings)


def _own_namespace(otherwise: str) -> str:
    """The namespace of the pod that this runs in, if it does."""
    with suppress(OSError):
        return _POD_NAMESPACE.read_text().strip()
    return otherwise


def _announce(addresses: "Addresses") -> None:
    import structlog

    listening = {"xds": addresses.xds, "xds_tls": addresses.secure, "admin": addresses.admin}
    log = structlog.get_logger(__name__)
    log.info("serving", **{name: address for name, address in listening.items() if address})
