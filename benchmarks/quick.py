"""Counts and ratios that hold on any machine, however slow: what CI asserts of speed.

One change reaches exactly its two Envoys with exactly one resource; what means nothing sends
nothing; after a burst everybody holds the last state; coming back costs no resource bytes; what an
Envoy has refused it is not sent again. Encoding is several times cheaper than the library's own.
"""

import asyncio
import json
import sys
from typing import Any

import structlog

from benchmarks.encode import Case, cases, turn
from benchmarks.loadclient import LoadClient
from benchmarks.plane import serving
from benchmarks.scale import KINDS, Scale

NAMESPACES, SERVICES, PODS, ROUNDS, EVENTS = 6, 5, 4, 10, 500
TIMES_CHEAPER = 5  # at least; it is 15 to 200


async def counts(variant: str) -> dict[str, int]:
    """What was counted, by name; ``expected`` says what it must be."""
    scale = Scale(NAMESPACES, SERVICES, PODS, seed=2)
    scale.cold_start()
    found: dict[str, int] = {}
    async with serving(scale.plane), LoadClient(scale.plane.address, variant) as load:
        found["streams"] = (await scale.connect(load))["streams"]
        found["responses to changes without meaning"] = (await scale.suppressed(load, ROUNDS))[
            "responses"
        ]
        for kind in KINDS:
            figures = await scale.changes(load, kind, ROUNDS)
            found[f"exact deliveries of a {kind}"] = figures[
                "exactly_one_resource_to_its_two_envoys"
            ]
        found["clients in the wrong state"] = (await scale.burst(load, EVENTS))["wrong_at_clients"]
        if variant == "delta":  # the other one can't say what of a type a client holds
            resumed = await scale.resume(load)
            found["resource bytes of a resume"] = resumed["resource_bytes"]
        refused = await scale.refused(load, ROUNDS)
        found["refusals"] = refused["refusals"]
        found["what was refused, sent again"] = refused["repeats"]
    return found


def expected() -> dict[str, int]:
    """What must have been counted."""
    return {
        "streams": 2 * NAMESPACES,
        "responses to changes without meaning": 0,
        **{f"exact deliveries of a {kind}": ROUNDS for kind in KINDS},
        "clients in the wrong state": 0,
        "resource bytes of a resume": 0,
        "refusals": ROUNDS,
        "what was refused, sent again": 0,
    }


def times_cheaper(case: Case) -> float:
    """How many times cheaper a resource is to build and encode than as the library ships it."""
    case.ours(), case.stock()  # what is made at a first call does not count
    return round(turn(case.stock) / turn(case.ours), 1)


def main() -> int:
    """Print all as JSON; 1 if a count is not what it must be, or a ratio is far below."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    wanted, figures = expected(), dict[str, Any]()
    for variant in ("delta", "sotw"):
        found = asyncio.run(counts(variant))
        figures[variant] = found
        for name, count in found.items():
            if count != wanted[name]:
                print(f"{variant}: {name}: {count}, not {wanted[name]}", file=sys.stderr)
    ratios = {name: times_cheaper(case) for name, case in cases().items()}
    for name, ratio in ratios.items():
        if ratio < TIMES_CHEAPER:
            print(f"{name}: {ratio} times cheaper, not {TIMES_CHEAPER}", file=sys.stderr)
    json.dump({"benchmark": "quick", **figures, "encoding": ratios}, sys.stdout, indent=2)
    print()
    wrong = any(wanted[name] != n for found in figures.values() for name, n in found.items())
    return int(wrong or min(ratios.values()) < TIMES_CHEAPER)


if __name__ == "__main__":
    sys.exit(main())
