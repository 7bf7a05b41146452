"""What it costs to read what Envoy sends: an ACK, and the first request after a reconnect.

Ours: the reader of ``translators.wire.discovery``. Stock: ``parse`` of betterproto2, of the same
bytes, in turns. Both must find the same first. Prints JSON; times are medians, in microseconds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from envoy_data_plane.envoy.service.discovery.v3 import DeltaDiscoveryRequest

from benchmarks.encode import ROUNDS, turn
from translators.wire import TypeUrl
from translators.wire.discovery import read_delta_request

NAMES = 25


@dataclass(frozen=True, slots=True)
class Found:
    """What the server wants to know of a request."""

    type_url: str
    nonce: str
    subscribe: tuple[str, ...]
    versions: Mapping[str, str]


def requests() -> dict[str, bytes]:
    """What is read, by name."""
    names = [f"inbound-vip|80|http|svc-{n}.shop.svc.cluster.local" for n in range(NAMES)]
    versions = {name: f"{number:016x}" for number, name in enumerate(names)}
    ack = DeltaDiscoveryRequest(type_url=TypeUrl.CLUSTER, response_nonce="42")
    first = DeltaDiscoveryRequest(
        type_url=TypeUrl.ENDPOINT,
        resource_names_subscribe=names,
        initial_resource_versions=versions,
    )
    return {"ack": bytes(ack), f"first_request_{NAMES}_names_and_versions": bytes(first)}


def read_by_us(data: bytes) -> Found:
    """As the server reads it."""
    found = read_delta_request(data)
    return Found(found.type_url, found.nonce, found.subscribe, found.initial_versions)


def read_by_library(data: bytes) -> Found:
    """As the library reads it."""
    found = DeltaDiscoveryRequest.parse(data)
    names = tuple(found.resource_names_subscribe)
    return Found(found.type_url, found.response_nonce, names, found.initial_resource_versions)


def measure(data: bytes) -> dict[str, float | int]:
    """Compare what both find, then take the medians over the rounds."""
    if read_by_us(data) != read_by_library(data):
        raise AssertionError("the two readers disagree")
    turns = [
        (
            turn(lambda: read_delta_request(data)),
            turn(lambda: DeltaDiscoveryRequest.parse(data)),
        )
        for _ in range(ROUNDS)
    ]
    return {
        "bytes": len(data),
        "ours_us": round(median(ours for ours, _ in turns), 2),
        "stock_us": round(median(stock for _, stock in turns), 1),
        "ratio": round(median(stock / ours for ours, stock in turns), 1),
    }


def main() -> None:
    """Print the report."""
    results = {name: measure(data) for name, data in requests().items()}
    print(json.dumps({"benchmark": "parse_requests", "results": results}, indent=2))


if __name__ == "__main__":
    main()
