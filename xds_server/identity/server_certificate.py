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
_SHORTEST_SLEEP = timedelta(seconds=1)
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
        self._failed_at: datetime | None = None

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
            self.renew_if_due()
            pause = min(max(self._renew_at - self._clock(), _SHORTEST_SLEEP), _LONGEST_SLEEP)
            await asyncio.sleep(pause.total_seconds())

    def renew_if_due(self) -> None:
        """Renew it when half of its life is over, or if it is not valid yet by now."""
        now = self._clock()
        is_due = now >= self._renew_at or now < self._current.not_before
        if is_due and not self._has_just_failed(now):
            self._renew(now)

    def _has_just_failed(self, now: datetime) -> bool:
        # A clock that was wrong by years, and then put right, must not make us wait for years.
        return self._failed_at is not None and abs(now - self._failed_at) < _RETRY

    def _renew(self, now: datetime) -> None:
        try:
            self._current, self._configuration = self._issue()
            self._renew_at = self._due()
            self._failed_at = None
        except AuthorityError as error:
            self._failed_at = now
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
