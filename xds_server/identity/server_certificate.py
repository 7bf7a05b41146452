"""The certificate of our own listener, renewed while it serves."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import grpc
import structlog

from xds_server.identity.authority import DEFAULT_TTL, Authority, AuthorityError
from xds_server.identity.svid import ServerCertificate

_log = structlog.get_logger(__name__)

_RENEW_AT = 0.5  # of its life
_LONGEST_SLEEP = timedelta(minutes=1)  # the wall clock may be set meanwhile
_SHORTEST_SLEEP = timedelta(seconds=0.1)
_RETRY = timedelta(seconds=30)


class RotatingServerCertificate:
    """A certificate for ``hosts``, always fresh; each handshake gets the one of its moment.

    Connections that are there keep theirs. ``clock`` gives the time as an aware datetime. With
    ``asks_clients``, nobody connects without a certificate of the same authority. Raises
    AuthorityError and ValueError as ``Authority.issue_server`` does.
    """

    def __init__(
        self,
        authority: Authority,
        hosts: Sequence[str],
        clock: Callable[[], datetime],
        *,
        asks_clients: bool,
        ttl: timedelta = DEFAULT_TTL,
    ) -> None:
        self._authority = authority
        self._hosts = tuple(hosts)
        self._clock = clock
        self._asks_clients = asks_clients
        self._ttl = ttl
        self._current, self._configuration = self._issue()
        self._renew_at = self._due()

    @property
    def current(self) -> ServerCertificate:
        """What is shown at present."""
        return self._current

    def credentials(self) -> grpc.ServerCredentials:
        """For a port of a gRPC server."""
        # Called by gRPC's own threads: they may only read a name that is bound once.
        return grpc.dynamic_ssl_server_credentials(
            self._configuration, lambda: self._configuration, self._asks_clients
        )

    async def run(self) -> None:
        """Renew for ever; ends by cancellation."""
        while True:
            now = self._clock()
            if now >= self._renew_at or now < self._current.not_before:
                self._renew(now)
            pause = min(max(self._renew_at - self._clock(), _SHORTEST_SLEEP), _LONGEST_SLEEP)
            await asyncio.sleep(pause.total_seconds())

    def _renew(self, now: datetime) -> None:
        try:
            self._current, self._configuration = self._issue()
            self._renew_at = self._due()
        except AuthorityError as error:
            self._renew_at = now + _RETRY
            _log.error(
                "server certificate not renewed",
                expires=self._current.not_after.isoformat(),
                error=str(error),
            )

    def _issue(self) -> tuple[ServerCertificate, grpc.ServerCertificateConfiguration]:
        certificate = self._authority.issue_server(self._hosts, self._clock(), self._ttl)
        roots = self._authority.trust_bundle() if self._asks_clients else None
        _log.info(
            "server certificate issued",
            hosts=list(certificate.hosts),
            serial=f"{certificate.serial:x}",
            not_after=certificate.not_after.isoformat(),
        )
        pairs = [(certificate.key, certificate.chain)]
        return certificate, grpc.ssl_server_certificate_configuration(pairs, roots)

    def _due(self) -> datetime:
        now = self._clock()
        return now + _RENEW_AT * (self._current.not_after - now)
