"""Slows one client down to a rate, and loses patience if that does not help."""

import asyncio

from grpc import StatusCode

from xds_server.ads.closing import Closing
from xds_server.ads.limits import TokenBucket


class Throttle:
    """Delays what one client does beyond a rate. ``patience`` is in seconds."""

    def __init__(self, what: str, bucket: TokenBucket, patience: float) -> None:
        self._what = what
        self._bucket = bucket
        self._patience = patience
        self._over_since: float | None = None

    async def admit(self) -> None:
        """Return when one more is within the rate.

        Raises Closing if every call for longer than the patience had to wait.
        """
        now = asyncio.get_running_loop().time
        wait = self._bucket.take(now())
        if not wait:
            self._over_since = None
            return
        if self._over_since is None:
            self._over_since = now()
        if now() - self._over_since > self._patience:
            raise Closing(StatusCode.RESOURCE_EXHAUSTED, f"too many {self._what}")
        while wait:
            await asyncio.sleep(wait)
            wait = self._bucket.take(now())
