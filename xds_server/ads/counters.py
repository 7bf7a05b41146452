"""What the ADS service has done since it started, as plain numbers."""

from collections import Counter
from dataclasses import dataclass, field

from translators.wire.resource import TypeUrl
from xds_server.identity.peer import Proof, Reason
from xds_server.protocol import Response

_KNOWN_TYPES = frozenset(TypeUrl)


@dataclass(slots=True)
class AdsCounters:
    """Monotonic counts, except ``streams_open``.

    The dictionaries are keyed by type URL; types that the server does not know, which a client may
    name at will, are counted together under the empty string. ``resource_bytes`` counts resource
    bodies alone, so it stays put while responses carry nothing new. ``admitted`` are streams by
    what their callers were known by, ``denied`` callers by why they were denied, which may be long
    after they were admitted.
    """

    streams_open: int = 0
    streams_opened: int = 0
    streams_refused: int = 0
    slow_clients_dropped: int = 0
    requests: int = 0
    responses: Counter[str] = field(default_factory=Counter)
    resources: Counter[str] = field(default_factory=Counter)
    resource_bytes: Counter[str] = field(default_factory=Counter)
    rejections: Counter[str] = field(default_factory=Counter)
    admitted: Counter[Proof] = field(default_factory=Counter)
    denied: Counter[Reason] = field(default_factory=Counter)

    @property
    def resource_bytes_sent(self) -> int:
        """Bytes of resource bodies sent, of all types."""
        return self.resource_bytes.total()

    def count_response(self, response: Response) -> None:
        """Count a response that was handed to the transport."""
        type_url = _bounded(response.type_url)
        self.responses[type_url] += 1
        self.resources[type_url] += len(response.resources)
        self.resource_bytes[type_url] += sum(len(each.body) for each in response.resources)

    def count_rejection(self, type_url: str) -> None:
        """Count a NACK."""
        self.rejections[_bounded(type_url)] += 1


def _bounded(type_url: str) -> str:
    return type_url if type_url in _KNOWN_TYPES else ""
