"""``waypost bootstrap``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from translators.ir.bootstrap import Bootstrap, CertificateFiles, SecureStream, TokenFile

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option("--waypoint", required=True, metavar="NAMESPACE/NAME", help="The Gateway it serves.")
@click.option(
    "--xds",
    default="127.0.0.1:15010",
    show_default=True,
    metavar="ADDRESS",
    help="Where the control plane listens: host:port or unix:/path.",
)
@click.option("--xds-roots", type=_FILE, help="Speak TLS, and trust the roots in this PEM file.")
@click.option("--xds-name", help="The name in the server's certificate, if not the host of --xds.")
@click.option("--xds-token", type=_FILE, help="Show the token in this file, as it is by then.")
@click.option("--xds-certificate", type=_FILE, help="Show this client certificate (PEM chain).")
@click.option("--xds-key", type=_FILE, help="The private key of --xds-certificate.")
@click.option(
    "--bind",
    default="0.0.0.0:15008",
    show_default=True,
    metavar="IP:PORT",
    help="Where this Envoy shall accept HBONE.",
)
@click.option(
    "--admin",
    default="127.0.0.1:15000",
    show_default=True,
    metavar="IP:PORT",
    help="Where this Envoy's own admin interface shall be.",
)
@click.option(
    "-o",
    "--out",
    type=_FOLDER,
    help="Write the bootstrap to this folder, not to standard output. TLS needs it.",
)
@click.option("--mount-path", type=_FOLDER, help="The path of that folder as Envoy sees it.")
def bootstrap(
    waypoint: str,
    xds: str,
    xds_roots: Path | None,
    xds_name: str | None,
    xds_token: Path | None,
    xds_certificate: Path | None,
    xds_key: Path | None,
    bind: str,
    admin: str,
    out: Path | None,
    mount_path: Path | None,
) -> None:
    """Print the bootstrap of a stock Envoy that is to be a waypoint, for ``envoy -c``.

    A control plane on another host is reached by TLS: give --xds-roots, and either --xds-token or
    --xds-certificate with --xds-key. Those files are read by Envoy, not now; it follows them while
    it runs, if they are replaced by renaming, as Kubernetes and most tools do.
    """
    from translators.ir.bootstrap import Bootstrap, node_id
    from translators.ir.waypoint import WaypointName

    credential = _credential(xds_token, xds_certificate, xds_key)
    if (xds_roots is None) != (credential is None):
        raise click.UsageError(
            "TLS needs --xds-roots, and either --xds-token or --xds-certificate with --xds-key"
        )
    if out is None and (mount_path or credential):
        raise click.UsageError("give the folder that Envoy gets its files in as --out")
    try:
        name = WaypointName.parse(waypoint)
        _ip_of(admin)
        _check_stream(xds, is_secure=credential is not None)
        secure = _secure(xds, xds_name, xds_roots, credential, mount_path or out)
        node = Bootstrap(name, node_id(name, _ip_of(bind)), xds, bind, admin, secure=secure)
        _hand_out(node, out, mount_path)
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None
    except OSError as problem:
        raise click.ClickException(str(problem)) from None


def _check_stream(xds: str, is_secure: bool) -> None:
    """Say what won't be answered. Raises ValueError for what is no address."""
    if xds.startswith("unix:"):
        return
    from ipaddress import ip_address

    host = _host_of(xds)
    try:
        is_near = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        is_near = False
    if not (is_secure or is_near):
        notice = "without TLS waypost serve answers on loopback only; give --xds-roots"
        click.echo(f"Notice: {xds}: {notice}", err=True)


def _credential(
    token: Path | None, certificate: Path | None, key: Path | None
) -> "TokenFile | CertificateFiles | None":
    from translators.ir.bootstrap import CertificateFiles, TokenFile

    match token, certificate, key:
        case None, None, None:
            return None
        case Path(), None, None:
            return TokenFile(_absolute(token))
        case None, Path(), Path() if certificate.parent == key.parent:
            return CertificateFiles(_absolute(certificate), _absolute(key))
        case _:
            raise click.UsageError(
                "give --xds-token, or --xds-certificate with --xds-key in the same folder"
            )


def _secure(
    xds: str,
    name: str | None,
    roots: Path | None,
    credential: "TokenFile | CertificateFiles | None",
    folder: Path | None,
) -> "SecureStream | None":
    """None without TLS. Raises ValueError if the server has no name."""
    if not (roots and credential and folder):
        return None
    from translators.ir.bootstrap import SecureStream

    server = name or _host_of(xds)
    return SecureStream(server, _absolute(roots), credential, _absolute(folder))


def _hand_out(node: "Bootstrap", out: Path | None, mount_path: Path | None) -> None:
    from translators.wire import unvalidated
    from translators.xds.bootstrap import BOOTSTRAP_FILE, files
    from xds_server.identity.durable_file import PUBLIC, replace_durably

    with unvalidated():  # validators take half a second to make
        contents = files(node)
    if out is None:
        click.echo(contents[BOOTSTRAP_FILE])
        return
    out.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        replace_durably(out / name, f"{content}\n".encode(), PUBLIC)
    click.echo(f"Written to {out}: {', '.join(contents)}")
    click.echo(f"Next: envoy -c {shlex.quote(str((mount_path or out) / BOOTSTRAP_FILE))}")


def _absolute(path: Path) -> str:
    return str(path.absolute())


def _host_of(address: str) -> str:
    """The host of ``host:port``. Raises ValueError."""
    from xds_server.identity.peer import split_address

    return split_address(address)[0]


def _ip_of(address: str) -> str:
    """The IP address of ``ip:port``; Envoy listens on no names. Raises ValueError."""
    from ipaddress import ip_address

    return str(ip_address(_host_of(address)))
