"""``waypost ca``: identities by hand, for trying things out and for clients outside the cluster."""

import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from xds_server.identity.spiffe import SpiffeId
    from xds_server.identity.svid import Svid

_CHAIN_FILE = "cert-chain.pem"
_KEY_FILE = "key.pem"
_ROOTS_FILE = "root-cert.pem"
_DURATION = re.compile(r"(?=\d)(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?")
_DIRECTORY = click.Path(file_okay=False, path_type=Path)


class Duration(click.ParamType[timedelta]):
    """A length of time such as ``1h``, ``90s`` or ``1h30m``."""

    name = "duration"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """The time as a timedelta; fails with a usage error."""
        if isinstance(value, timedelta):
            return value
        found = _DURATION.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is not a duration such as 1h, 90s or 1h30m", param, ctx)
        hours, minutes, seconds = (int(part or 0) for part in found.groups())
        return timedelta(hours=hours, minutes=minutes, seconds=seconds)


@click.group()
def ca() -> None:
    """Work with the built-in certificate authority."""


@ca.command(short_help="Make a certificate authority, or check the one that is there.")
@click.argument("directory", type=_DIRECTORY)
def init(directory: Path) -> None:
    """Make a certificate authority in an empty folder; check the one that is there otherwise."""
    from datetime import UTC, datetime

    from xds_server.identity.authority import AuthorityError
    from xds_server.identity.authority_store import open_authority

    _refuse_other_files(directory)
    try:
        authority = open_authority(directory, datetime.now(UTC))
    except AuthorityError as error:
        raise click.ClickException(str(error)) from error
    end = authority.issuer.not_valid_after_utc
    click.echo(f"{directory}: a CA that works, valid until {end:%Y-%m-%d}. Keep ca-key.pem safe.")
    source = shlex.quote(str(directory))
    command = f"kubectl create secret generic waypost-ca -n waypost-system --from-file {source}"
    click.echo(f"Next: {command}")


def _refuse_other_files(directory: Path) -> None:
    """A Secret is made of all that is in the folder: a CA shares it with nothing."""
    from xds_server.identity.authority_store import FILES

    names = {path.name for path in directory.glob("[!.]*")}
    if names and names.isdisjoint(FILES):
        raise click.ClickException(f"{directory}: neither empty nor a CA; name a new folder")


@ca.command()
@click.argument("workload", metavar="NAMESPACE/SERVICE_ACCOUNT")
@click.option(
    "--ca-dir",
    type=_DIRECTORY,
    required=True,
    help="The CA; made if the directory is empty. Takes the files of Istio's cacerts too.",
)
@click.option("--out", type=_DIRECTORY, required=True, help="Where the files are written.")
@click.option("--ttl", type=Duration(), default="24h", show_default=True, help="At most 24h.")
@click.option(
    "--trust-domain",
    default="cluster.local",
    show_default=True,
    help="The trust domain of the mesh.",
)
def issue(workload: str, ca_dir: Path, out: Path, ttl: timedelta, trust_domain: str) -> None:
    """Issue a certificate that names a service account of the mesh."""
    # Imported here so that --help stays instant.
    from datetime import UTC, datetime

    from xds_server.identity.authority import MAX_TTL, MIN_TTL, AuthorityError
    from xds_server.identity.authority_store import open_authority

    identity = _parse_identity(workload, trust_domain)
    if not MIN_TTL <= ttl <= MAX_TTL:
        raise click.BadParameter("must be between 1s and 24h", param_hint="'--ttl'")
    if out.resolve() == ca_dir.resolve():
        raise click.BadParameter("must not be the directory of the CA", param_hint="'--out'")
    try:
        now = datetime.now(UTC)
        authority = open_authority(ca_dir, now)
        svid = authority.issue(identity, now, ttl)
        _write(out, svid, authority.trust_bundle())
    except (AuthorityError, OSError) as error:
        raise click.ClickException(str(error)) from error
    _report(out, svid)


def _parse_identity(workload: str, trust_domain: str) -> "SpiffeId":
    from xds_server.identity.spiffe import SpiffeId

    namespace, slash, service_account = workload.partition("/")
    if not slash:
        raise click.UsageError(f"{workload!r} is not of the form namespace/service-account")
    try:
        return SpiffeId(trust_domain, namespace, service_account)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _write(out: Path, svid: "Svid", roots: bytes) -> None:
    from xds_server.identity.durable_file import PRIVATE, PUBLIC, replace_durably

    out.mkdir(parents=True, exist_ok=True)
    replace_durably(out / _KEY_FILE, svid.key, PRIVATE)
    replace_durably(out / _CHAIN_FILE, svid.chain, PUBLIC)
    replace_durably(out / _ROOTS_FILE, roots, PUBLIC)


def _report(out: Path, svid: "Svid") -> None:
    chain, key, roots = (out / name for name in (_CHAIN_FILE, _KEY_FILE, _ROOTS_FILE))
    click.echo(f"{svid.identity.uri}, valid until {svid.not_after:%Y-%m-%d %H:%M:%S} UTC")
    click.echo(f"  {chain}   certificate chain")
    click.echo(f"  {key}   private key: keep it to yourself")
    click.echo(f"  {roots}   roots to trust")
    files = ("-cert", chain, "-cert_chain", chain, "-key", key, "-CAfile", roots)
    command = "openssl s_client -connect HOST:PORT -alpn h2 -verify_return_error"
    click.echo(f"Next: {command} {shlex.join(map(str, files))}")
