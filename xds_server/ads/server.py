"""The gRPC server around the service: transport settings, listeners, start and stop."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from xds_server.ads.service import AdsService
from xds_server.identity.peer import check_plaintext_address

_KEEPALIVE_MS = 30_000
_KEEPALIVE_TIMEOUT_MS = 10_000
_MIN_PING_INTERVAL_MS = 5_000
_CONNECTION_AGE_GRACE_MS = 5_000
_STREAMS_PER_CONNECTION = 100
_HANDSHAKE_TIMEOUT_MS = 10_000
_IDLE_MS = 60_000  # that a connection may be open without a stream


class AdsServer:
    """Listens for ADS streams. Listeners are added before ``start``.

    ``max_connection_age`` (seconds, varied by 10 % either way) makes clients reconnect now and
    then, which spreads them over replicas and costs no configuration bytes.
    """

    def __init__(self, service: AdsService, max_connection_age: float | None = None) -> None:
        self._service = service
        self._server = grpc.aio.server(options=_options(service, max_connection_age))
        self._server.add_generic_rpc_handlers((service.handler(),))

    def listen_plaintext(self, address: str) -> int:
        """Listen without TLS on a loopback address or Unix socket; returns the port.

        Raises InsecureAddress for any other address, RuntimeError if it is taken.
        """
        check_plaintext_address(address)
        with _named(address):
            return self._server.add_insecure_port(address)

    def listen(self, address: str, credentials: grpc.ServerCredentials) -> int:
        """Listen with TLS; returns the port. Raises RuntimeError if the address is taken."""
        with _named(address):
            return self._server.add_secure_port(address, credentials)

    async def start(self) -> None:
        """Begin to accept streams."""
        await self._server.start()

    async def stop(self, spread: float = 0.0, grace: float = 5.0) -> None:
        """Accept no more, end all streams over ``spread`` seconds, wait ``grace`` for the rest.

        Every client is told at once (GOAWAY) that its connection takes no more streams: so the one
        whose stream ends goes on to another replica, and doesn't come back to this one.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._service.drain(spread))
            tasks.create_task(self._server.stop(spread + grace))


@contextmanager
def _named(address: str) -> Iterator[None]:
    """Let an error name the address and the usual cause, which gRPC keeps to its own log."""
    try:
        yield
    except RuntimeError:
        raise RuntimeError(f"can't listen on {address}: is something else there?") from None


def _options(service: AdsService, max_connection_age: float | None) -> tuple[tuple[str, int], ...]:
    """Half-open connections are found by keepalive; pings that clients send are tolerated.

    A second server on the same port must fail to start, hence no SO_REUSEPORT.
    """
    options = (
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _MIN_PING_INTERVAL_MS),
        ("grpc.max_concurrent_streams", _STREAMS_PER_CONNECTION),
        ("grpc.max_connection_idle_ms", _IDLE_MS),
        # Beyond 1,000 calls that wait to be looked at gRPC would cancel some at random: who comes
        # is refused by us, with a reason, or served.
        ("grpc.server.max_pending_requests", service.limits.streams),
        ("grpc.server.max_pending_requests_hard_limit", service.limits.streams),
        ("grpc.max_receive_message_length", service.limits.message_bytes),
        ("grpc.server_handshake_timeout_ms", _HANDSHAKE_TIMEOUT_MS),
    )
    if max_connection_age is None:
        return options
    return (
        *options,
        ("grpc.max_connection_age_ms", int(max_connection_age * 1000)),
        ("grpc.max_connection_age_grace_ms", _CONNECTION_AGE_GRACE_MS),
    )
