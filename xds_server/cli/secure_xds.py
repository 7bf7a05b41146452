"""Options of ``waypost serve`` that open xDS to other hosts."""

from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from translators.ir.bootstrap import TOKEN_AUDIENCE
from xds_server.cli.options import F, with_options

if TYPE_CHECKING:
    from translators.ir.waypoint import Mesh
    from xds_server.identity.network import Credentials
    from xds_server.serving.listeners import SecureXds
    from xds_server.sources.kubernetes.login import Login

_SERVICE = "waypost"


@dataclass(frozen=True, slots=True)
class SecureXdsOptions:
    """What was asked for, as it was given."""

    address: str | None
    hosts: tuple[str, ...]
    clients: str | None
    audience: str

    @property
    def takes_tokens(self) -> bool:
        """Whether Envoys on a cluster that show tokens are served."""
        return bool(self.address) and self.clients != "certificate"

    def listener(self, login: "Login | None", namespace: str, mesh: "Mesh") -> "SecureXds | None":
        """The listener, None if none was asked for.

        ``login`` is the way to the cluster, if there is one, ``namespace`` our own. Raises
        UsageError.
        """
        from xds_server.serving.listeners import SecureXds

        if not self.address:
            return None
        _check_address(self.address)
        hosts = self.hosts or _service_hosts(namespace, mesh.cluster_domain)
        _check_hosts(hosts)
        return SecureXds(self.address, hosts, self._credentials(login, mesh.trust_domain))

    def _credentials(self, login: "Login | None", trust_domain: str) -> "Credentials":
        kind = self.clients or ("certificate" if login is None else "token")
        if kind == "certificate":
            return _certificates(trust_domain)
        if login is None:
            raise click.UsageError("--xds-clients token needs the API server of --kubernetes")
        return _tokens(login, self.audience)


_OPTIONS = (
    click.option(
        "--xds-tls",
        envvar="WAYPOST_XDS_TLS",
        metavar="IP:PORT",
        help="Where Envoys of other hosts connect, by TLS, for example 0.0.0.0:15012.",
    ),
    click.option(
        "--xds-host",
        "xds_hosts",
        multiple=True,
        envvar="WAYPOST_XDS_HOSTS",
        help="A DNS name or IP address for the certificate at --xds-tls. Repeatable; by default "
        "those of a Service waypost in the own namespace, and of loopback.",
    ),
    click.option(
        "--xds-clients",
        type=click.Choice(["token", "certificate"]),
        envvar="WAYPOST_XDS_CLIENTS",
        help="What Envoys must show at --xds-tls: a service-account token, which the API server "
        "reviews (usual with --kubernetes), or a certificate of the CA (usual without).",
    ),
    click.option(
        "--xds-token-audience",
        default=TOKEN_AUDIENCE,
        show_default=True,
        envvar="WAYPOST_XDS_TOKEN_AUDIENCE",
        help="The audience that tokens of Envoys must be for.",
    ),
)


def secure_xds_options(command: F) -> F:
    """Add the options, which the command gets as ``secure_xds``."""

    @wraps(command)
    def with_secure_xds(
        xds_tls: str | None,
        xds_hosts: tuple[str, ...],
        xds_clients: str | None,
        xds_token_audience: str,
        **others: Any,
    ) -> Any:
        options = SecureXdsOptions(xds_tls, xds_hosts, xds_clients, xds_token_audience)
        return command(secure_xds=options, **others)

    return with_options(*_OPTIONS)(with_secure_xds)  # type: ignore[return-value]


def _check_address(address: str) -> None:
    from ipaddress import ip_address

    from xds_server.identity.peer import split_address

    try:
        ip_address(split_address(address)[0])
    except ValueError as problem:
        raise click.UsageError(f"--xds-tls must be IP:PORT: {problem}") from None


def _check_hosts(hosts: tuple[str, ...]) -> None:
    from xds_server.identity.authority import general_name

    try:
        for host in hosts:
            general_name(host)
    except ValueError as problem:
        raise click.UsageError(f"--xds-host: {problem}") from None


def _certificates(trust_domain: str) -> "Credentials":
    from datetime import UTC, datetime

    from xds_server.identity.certificates import CertificateCredentials

    return CertificateCredentials(trust_domain, lambda: datetime.now(UTC))


def _tokens(login: "Login", audience: str) -> "Credentials":
    import time
    from datetime import UTC, datetime

    from xds_server.identity.token_review import TokenReviews
    from xds_server.identity.tokens import TokenCredentials
    from xds_server.sources.kubernetes.transport import Transport

    reviews = TokenReviews(Transport(login), audience)
    return TokenCredentials(reviews, lambda: datetime.now(UTC), time.monotonic)


def _service_hosts(namespace: str, cluster_domain: str) -> tuple[str, ...]:
    service = f"{_SERVICE}.{namespace}"
    return (
        *(f"{service}.svc", f"{service}.svc.{cluster_domain}", service, _SERVICE),
        *("localhost", "127.0.0.1", "::1"),
    )
