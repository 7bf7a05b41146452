"""``waypost serve``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from xds_server.cli.options import mesh_options

if TYPE_CHECKING:
    from translators.ir.waypoint import Mesh
    from xds_server.serving.server import Addresses
    from xds_server.sources.source import Source

_STATE = Path("~/.local/state/waypost/ca").expanduser()


@click.command()
@click.option(
    "--manifests",
    envvar="WAYPOST_MANIFESTS",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of manifests to serve and to watch.",
)
@click.option("--kubernetes", is_flag=True, help="Serve and follow the objects of a cluster.")
@click.option(
    "--kubeconfig",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="How to reach the cluster; else the pod's service account, or the usual kubeconfig.",
)
@click.option("--context", help="The context of the kubeconfig.")
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
    help="Where Envoys connect: a loopback ip:port or unix:/path.",
)
@click.option(
    "--admin",
    "admin_address",
    default="127.0.0.1:15014",
    show_default=True,
    envvar="WAYPOST_ADMIN",
    help="Where people and probes look.",
)
@mesh_options
def serve(
    manifests: Path | None,
    kubernetes: bool,
    kubeconfig: Path | None,
    context: str | None,
    ca_dir: Path,
    xds_address: str,
    admin_address: str,
    mesh: "Mesh",
) -> None:
    """Serve Envoys their configuration, and follow its changes.

    The objects come from a folder (--manifests) or from a cluster (--kubernetes).
    """
    import asyncio

    from xds_server.identity.authority import AuthorityError
    from xds_server.identity.peer import InsecureAddress, check_plaintext_address
    from xds_server.serving import log_to_stderr, server

    if kubernetes == (manifests is not None):
        raise click.UsageError("give either --manifests DIR or --kubernetes")
    log_to_stderr()
    try:
        check_plaintext_address(xds_address)
        source = _folder(manifests) if manifests else _cluster(kubeconfig, context)
        settings = server.Settings(ca_dir, xds_address, admin_address, mesh)
        asyncio.run(server.serve(settings, source, _announce))
    except InsecureAddress as problem:
        raise click.UsageError(str(problem)) from None
    except (AuthorityError, OSError, RuntimeError) as problem:
        raise click.ClickException(str(problem)) from None


def _folder(path: Path) -> "Source":
    from xds_server.sources.files import FileSource

    return FileSource(path)


def _cluster(kubeconfig: Path | None, context: str | None) -> "Source":
    from xds_server.sources.kubernetes import KubernetesSource
    from xds_server.sources.kubernetes.login import choose_login

    return KubernetesSource(choose_login(kubeconfig, context))


def _announce(addresses: "Addresses") -> None:
    click.echo(f"xDS on {addresses.xds}, admin on http://{addresses.admin}", err=True)
