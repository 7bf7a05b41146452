"""What it costs to understand a cluster, then each event, beside ``json.loads`` of the same JSON.

All is done as it is while serving: an event is a line of a watch, read and decoded by the source's
own code, and what comes out is a finished response. The JSON has what an API server adds to an
object, but for ``managedFields``, which cost ``json.loads`` more than us. Times are processor time.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar
from uuid import NAMESPACE_DNS, uuid5

from benchmarks import worlds
from benchmarks.plane import quantile, rss_mib
from translators.compiler import Compiler
from translators.ir.waypoint import Mesh, WaypointName
from translators.wire.discovery import delta_response
from translators.wire.resource import TypeUrl
from translators.world import Change
from xds_server.cli.bench_manifests import Manifest, manifests
from xds_server.serving.collector import Collector
from xds_server.sources.kubernetes.decoding import read_event
from xds_server.sources.kubernetes.kinds import RESOURCES
from xds_server.sources.kubernetes.replica import Replica

_RULES = 10
_STAGES = ("json", "decode", "index", "translate")
_SLICE, _ROUTE, _POLICY = "EndpointSlice", "HTTPRoute", "AuthorizationPolicy"
T = TypeVar("T")


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """How long some work keeps the processor, in seconds, and its result."""
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def as_line(manifest: Manifest, revision: int) -> bytes:
    """The event of a watch that the object is like this now."""
    meta = manifest["metadata"]
    given = {
        "uid": str(uuid5(NAMESPACE_DNS, meta["name"])),
        "resourceVersion": str(revision),
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    event = {"type": "MODIFIED", "object": {**manifest, "metadata": {**meta, **given}}}
    return json.dumps(event, separators=(",", ":")).encode()


class Outcome(NamedTuple):
    """What an event cost, in microseconds, and what it led to."""

    ours_us: float
    json_us: float
    responses: int
    response_bytes: int


class Cluster:
    """A mesh as it is read from an API server, and what it means."""

    def __init__(self, namespaces: int, services: int, pods: int, seed: int) -> None:
        self._size = namespaces, services, pods
        self._random = random.Random(seed)
        self._compiler = Compiler(Mesh())
        self._replicas = {one.kind: Replica(one) for one in RESOURCES}
        self._versions = {one.kind: one.versions[0] for one in RESOURCES}
        self.revision = 1

    def pick(self, kind: str) -> tuple[WaypointName, Manifest]:
        """Any object of a kind, as it was at first, and the waypoint that it concerns."""
        namespaces, services, pods = self._size
        n, s = self._random.randrange(namespaces), self._random.randrange(services)
        found = [one for one in manifests(n, services, pods, _RULES) if one["kind"] == kind]
        return WaypointName(f"ns-{n}", "waypoint"), found[s]

    def understand(self) -> dict[str, Any]:
        """Read and translate everything, a namespace at a time, beside ``json.loads``."""
        namespaces, services, pods = self._size
        spent, base, given, made = dict.fromkeys(_STAGES, 0.0), rss_mib(), 0, 0
        for n in range(namespaces):
            lines = [
                (one["kind"], as_line(one, self.revision))
                for one in manifests(n, services, pods, _RULES)
            ]
            given += sum(len(text) for _, text in lines)
            for stage, seconds, size in self._stages(WaypointName(f"ns-{n}", "waypoint"), lines):
                spent[stage] += seconds
                made += size
            Collector().spare()
        held = rss_mib() - base
        return {
            "json_mb": round(given / 1e6, 1),
            "resource_mb": round(made / 1e6, 1),
            **{f"{stage}_s": round(seconds, 2) for stage, seconds in spent.items()},
            "decode_ratio": round(spent["decode"] / spent["json"], 2),
            "translate_ratio": round((spent["index"] + spent["translate"]) / spent["json"], 2),
            "rss_mib": round(held, 1),
            "rss_ratio": round(held * 2**20 / made, 2),
        }

    def _stages(
        self, waypoint: WaypointName, lines: list[tuple[str, bytes]]
    ) -> Iterator[tuple[str, float, int]]:
        """Each stage of one namespace: its name, seconds, and bytes of finished resources."""
        yield "json", timed(lambda: [json.loads(text) for _, text in lines])[0], 0
        seconds, changes = timed(lambda: [one for each in lines for one in self._read(*each)])
        yield "decode", seconds, 0
        yield "index", timed(lambda: self._compiler.apply(changes))[0], 0
        seconds, edition = timed(lambda: self._compiler.edition(waypoint))
        yield "translate", seconds, sum(len(one.body) for one in edition.snapshot.all())

    def _read(self, kind: str, line: bytes) -> list[Change]:
        return self._replicas[kind].put(read_event(line).object, self._versions[kind])[1]

    def _respond(self, waypoint: WaypointName, kind: str, line: bytes) -> list[bytes]:
        """From a line of a watch to all responses that it leads to."""
        before = self._compiler.edition(waypoint).number
        changes = self._read(kind, line)
        if not changes or waypoint not in self._compiler.apply(changes):
            return []
        edition = self._compiler.edition(waypoint)
        if edition.number == before:
            return []
        fresh = [one for key in edition.changed if (one := edition.snapshot.get(key)) is not None]
        by_type = [(each, [one for one in fresh if one.key.type_url == each]) for each in TypeUrl]
        return [delta_response(each, "1", found) for each, found in by_type if found]

    def event(self, waypoint: WaypointName, manifest: Manifest) -> Outcome:
        """Take in that an object is like this now."""
        self.revision += 1
        kind, line = manifest["kind"], as_line(manifest, self.revision)
        plain, _ = timed(lambda: json.loads(line))
        ours, responses = timed(lambda: self._respond(waypoint, kind, line))
        return Outcome(1e6 * ours, 1e6 * plain, len(responses), sum(map(len, responses)))

    def events(self, kind: str, change: "Edit", rounds: int, warm_up: int = 20) -> dict[str, Any]:
        """That change of any objects of a kind, again and again."""
        outcomes = []
        for _ in range(warm_up + rounds):
            waypoint, manifest = self.pick(kind)
            outcomes.append(self.event(waypoint, change(manifest, self.revision)))
        return _summary(outcomes[warm_up:])


Edit = Callable[[Manifest, int], Manifest]
"""Another version of an object, given a number that none had before."""


def another_zone(manifest: Manifest, serial: int) -> Manifest:
    """One endpoint of a slice is another."""
    first, *others = manifest["endpoints"]
    return {**manifest, "endpoints": [{**first, "zone": f"zone-{serial}"}, *others]}


def other_paths(manifest: Manifest, serial: int) -> Manifest:
    """All rules of a route match other paths."""
    return _replaced(manifest, "/path", f"/p{serial}")


def other_callers(manifest: Manifest, serial: int) -> Manifest:
    """All rules of a policy are for other callers."""
    return _replaced(manifest, "sa/client", f"sa/c{serial}")


def _replaced(manifest: Manifest, old: str, new: str) -> Manifest:
    edited: Manifest = json.loads(json.dumps(manifest).replace(old, new))
    return edited


def same(manifest: Manifest, _: int) -> Manifest:
    """Nothing but its resourceVersion is another."""
    return manifest


def other_status(manifest: Manifest, serial: int) -> Manifest:
    """Somebody has written a status."""
    condition = {"type": "Accepted", "status": "True", "message": f"seen {serial}"}
    parent = {"controllerName": "example.com/other", "conditions": [condition]}
    return {**manifest, "status": {"parents": [parent]}}


def other_manager(manifest: Manifest, serial: int) -> Manifest:
    """Somebody else has applied the same."""
    fields = {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {".": {}}}
    entry = {"manager": f"m-{serial}", "operation": "Apply", "fieldsV1": fields}
    return {**manifest, "metadata": {**manifest["metadata"], "managedFields": [entry]}}


def reordered(manifest: Manifest, _: int) -> Manifest:
    """The endpoints of a slice in another order."""
    return {**manifest, "endpoints": manifest["endpoints"][::-1]}


MEANINGFUL: dict[str, tuple[str, Edit]] = {
    "slice": (_SLICE, another_zone),
    "route": (_ROUTE, other_paths),
    "policy": (_POLICY, other_callers),
}
WITHOUT_MEANING: dict[str, tuple[str, Edit]] = {
    "status of a route": (_ROUTE, other_status),
    "managedFields of a route": (_ROUTE, other_manager),
    "resourceVersion of a slice": (_SLICE, same),
    "managedFields of a slice": (_SLICE, other_manager),
    "order of endpoints": (_SLICE, reordered),
    "resourceVersion of a policy": (_POLICY, same),
}


def _summary(outcomes: list[Outcome]) -> dict[str, Any]:
    ours, plain = [one.ours_us for one in outcomes], [one.json_us for one in outcomes]
    return {
        "p50_us": round(quantile(ours, 0.5)),
        "p99_us": round(quantile(ours, 0.99)),
        "json_p50_us": round(quantile(plain, 0.5), 1),
        "ratio_p50": round(quantile(ours, 0.5) / quantile(plain, 0.5), 1),
        "ratio_p99": round(quantile(ours, 0.99) / quantile(plain, 0.99), 1),
        "responses": sum(one.responses for one in outcomes),
        "of": len(outcomes),
        "response_bytes": round(sum(one.response_bytes for one in outcomes) / len(outcomes)),
    }


def main() -> None:
    """Print the figures as JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    worlds.add_size(options, namespaces=100)
    options.add_argument("--rounds", type=int, default=500)
    given = options.parse_args()
    cluster = Cluster(given.namespaces, given.services, given.pods, seed=3)
    figures: dict[str, Any] = {"benchmark": "change"}
    collector = Collector()
    with collector.watching():
        figures["cold"] = cluster.understand()
        collector.settle()
        # First what means nothing: after it everything is still as it was at first.
        for part, edits in (("suppressed", WITHOUT_MEANING), ("change", MEANINGFUL)):
            figures[part] = {
                name: cluster.events(kind, edit, given.rounds)
                for name, (kind, edit) in edits.items()
            }
    json.dump(figures, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
