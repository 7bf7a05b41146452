"""``waypost serve``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from xds_server.cli.options import mesh_options

if TYPE_CHECKING:
    from translators.ir.waypoint import Mesh
    from xds_server.serving.server import Addresses

_STATE = Path("~/.local/state/waypost/ca").expanduser()


@click.command()
@click.option(
    "--manifests",
    required=True,
    envvar="WAYPOST_MANIFESTS",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder of manifests to serve and to watch.",
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
    manifests: Path, ca_dir: Path, xds_address: str, admin_address: str, mesh: "Mesh"
) -> None:
    """Serve Envoys their configuration from a folder of manifests, and follow its changes."""
    import asyncio

    from xds_server.identity.authority import AuthorityError
    from xds_server.identity.peer import InsecureAddress, check_plaintext_address
    from xds_server.serving import log_to_stderr, server

    log_to_stderr()
    try:
        check_plaintext_address(xds_address)
        settings = server.Settings(manifests, ca_dir, xds_address, admin_address, mesh)
        asyncio.run(server.serve(settings, _announce))
    except InsecureAddress as problem:
        raise click.UsageError(str(problem)) from None
    except (AuthorityError, OSError, RuntimeError) as problem:
        raise click.ClickException(str(problem)) from None


def _announce(addresses: "Addresses") -> None:
    click.echo(f"xDS on {addresses.xds}, admin on http://{addresses.admin}", err=True)
