"""Where Envoys connect: on this host without TLS, and over a network with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from xds_server.ads import AdsServer, AdsService
from xds_server.identity.authority import Authority
from xds_server.identity.network import Credentials
from xds_server.identity.server_certificate import RotatingServerCertificate

_CONNECTION_AGE = 1800.0  # seconds; then Envoys reconnect, which spreads them over replicas


@dataclass(frozen=True, slots=True)
class SecureXds:
    """xDS for other hosts: at ``address`` (``ip:port``), by TLS, for callers that are known.

    ``hosts`` are the names and IP addresses that the server's certificate holds; ``credentials``
    is how callers are known; each is verified again every ``recheck`` seconds or so. There is no
    TLS for callers that need not be known.
    """

    address: str
    hosts: Sequence[str]
    credentials: Credentials
    recheck: float = 300.0


class Listeners:
    """The ports of one server, taken at once. Raises RuntimeError if one can't be had.

    Also raises InsecureAddress, AuthorityError and ValueError, as what it makes does.
    """

    def __init__(
        self,
        service: AdsService,
        plain: str,
        secure: SecureXds | None,
        authority: Authority,
        clock: Callable[[], datetime],
    ) -> None:
        self._ads = AdsServer(service, None if secure is None else _CONNECTION_AGE)
        self.plain = with_port(plain, self._ads.listen_plaintext(plain))
        self.secure = ""
        self._secure = secure
        self._certificate: RotatingServerCertificate | None = None
        if secure is not None:
            self._certificate = RotatingServerCertificate(
                authority,
                secure.hosts,
                clock,
                asks_clients=secure.credentials.needs_certificate,
            )
            port = self._ads.listen(secure.address, self._certificate.credentials())
            self.secure = with_port(secure.address, port)

    async def start(self) -> None:
        """Begin to accept streams."""
        await self._ads.start()

    async def run(self) -> None:
        """Keep the certificate fresh; ends by cancellation, or at once if there is none."""
        if self._certificate is not None:
            await self._certificate.run()

    async def stop(self, spread: float = 0.0) -> None:
        """End all streams over so many seconds, and accept no more."""
        await self._ads.stop(spread)
        if self._secure is not None:
            await self._secure.credentials.close()


def with_port(address: str, port: int) -> str:
    """The address with the port that was really taken."""
    return address if address.startswith("unix") else f"{address.rpartition(':')[0]}:{port}"
