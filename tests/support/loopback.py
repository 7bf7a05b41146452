"""A loopback network of our own, so that sessions side by side never meet on a port."""

import random
import socket
from contextlib import suppress

_CLAIM_PORT = 61999


class LoopbackNet:
    """127.x.y.0/24, held for as long as this object is open.

    The claim is a bound socket on the last address of the network: a second session that draws the
    same network cannot bind it and draws again.
    """

    def __init__(self) -> None:
        self._claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(100):
            self.prefix = f"127.{random.randint(10, 250)}.{random.randint(0, 255)}"
            with suppress(OSError):
                self._claim.bind((self.ip(254), _CLAIM_PORT))
                return
        self._claim.close()
        raise OSError("no free loopback network found")

    def ip(self, host: int) -> str:
        """The address number ``host`` (1..254) of the network."""
        if not 1 <= host <= 254:
            raise ValueError(f"{host} is not a host number")
        return f"{self.prefix}.{host}"

    def close(self) -> None:
        self._claim.close()


def free_port(ip: str) -> int:
    """A TCP port that nobody listens on at ``ip``."""
    with socket.socket() as probe:
        probe.bind((ip, 0))
        port: int = probe.getsockname()[1]
        return port
