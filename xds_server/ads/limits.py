"""How much a client may ask of the server, and the bucket that measures rates."""

from dataclasses import dataclass, field

from xds_server.protocol import SessionLimits


@dataclass(frozen=True, slots=True)
class AdsLimits:
    """Bounds of the ADS service. Times are in seconds.

    A client over its request rate is read more slowly; one that stays over it for
    ``throttle_patience`` is closed. The same holds for refusals (NACKs). ``recheck`` is how long a
    credential is believed before it is verified again, varied by a fifth. ``denials`` are of one
    host: Envoy by itself tries less often than that.
    """

    streams: int = 5_000
    streams_per_identity: int = 16
    new_streams_per_second: float = 250.0
    new_streams_burst: int = 1_000
    requests_per_second: float = 100.0
    requests_burst: int = 500
    nacks_per_second: float = 0.5
    nacks_burst: int = 100
    throttle_patience: float = 10.0
    first_request_timeout: float = 10.0
    write_timeout: float = 20.0
    recheck: float = 300.0
    denials_per_second: float = 0.2
    denials_burst: int = 20
    logged_refusals_per_second: float = 1.0
    logged_refusals_burst: int = 20
    message_bytes: int = 4 * 1024 * 1024
    session: SessionLimits = field(default_factory=SessionLimits)


class TokenBucket:
    """Lets ``burst`` through at once and ``rate`` a second from then on."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at: float | None = None

    def take(self, now: float) -> float:
        """Take a token: 0.0 if there was one, else the seconds until there is one; none is taken.

        ``now`` is a monotonic time in seconds.
        """
        if self._filled_at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._rate
