"""Loopback addresses that nobody else uses."""

import random
import socket
from contextlib import suppress
from typing import Self

_CLAIM_PORT = 61999
_ATTEMPTS = 100


class LoopbackNetwork:
    """A network 127.x.y.0/24, ours for as long as this object is open.

    The claim is a bound socket on its last address: a second demo that draws the same network
    cannot bind it and draws again. Raises OSError if there is none, as where loopback has only
    127.0.0.1.
    """

    def __init__(self) -> None:
        self._claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for _ in range(_ATTEMPTS):
            self.prefix = f"127.{random.randint(10, 250)}.{random.randint(0, 255)}"  # noqa: S311
            with suppress(OSError):
                self._claim.bind((self.ip(254), _CLAIM_PORT))
                return
        self._claim.close()
        raise OSError("no free network in 127.0.0.0/8; the demo needs Linux")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._claim.close()

    def ip(self, host: int) -> str:
        """The address number ``host`` (1..254) of the network."""
        return f"{self.prefix}.{host}"
