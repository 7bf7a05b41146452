"""Runs every benchmark of this folder, one after the other, and prints one JSON list.

``--full`` measures a mesh of 1,000 namespaces instead of 100; ``--protos`` is the folder that
``vs_upb.py`` asks for. A table for people goes to stderr; ``table.py`` makes one with the targets.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PARTS = {
    "__init__",
    "apiserver",
    "envoys",
    "least",
    "loadclient",
    "plane",
    "run",
    "table",
    "worlds",
}
FULL = {
    "change": ["--namespaces", "1000"],
    "fanout": ["--streams", "100", "1000", "2000"],
    "idle": ["--namespaces", "1000"],
    "nack": ["--streams", "2000"],
    "route_probe": ["--routes", "3000"],
    "scale": ["--namespaces", "1000", "--rounds", "200"],
    "soak": ["--minutes", "10"],
    "storm": ["--namespaces", "1000", "--rounds", "3"],
}


def rows(figures: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every figure with the way to it."""
    if isinstance(figures, dict):
        for key, value in figures.items():
            yield from rows(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, figures


def main() -> int:
    """Print the figures of all benchmarks; the result is 1 if one of them failed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--full", action="store_true")
    options.add_argument("--protos", type=Path)
    given = options.parse_args()
    extra = dict(FULL) if given.full else {}
    if given.protos:
        extra["vs_upb"] = ["--protos", str(given.protos.resolve())]
    figures, failed = [], False
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem in PARTS:
            continue
        began = time.monotonic()
        print(f"\n{path.stem}", file=sys.stderr)
        command = [sys.executable, "-m", f"benchmarks.{path.stem}"]
        command += extra.get(path.stem, [])
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False, cwd=ROOT)
        if done.returncode:
            failed = True
            print("  failed", file=sys.stderr)
            continue
        found = json.loads(done.stdout)
        figures.append(found)
        for name, value in rows(found):
            print(f"  {name:68} {value}", file=sys.stderr)
        print(f"  took {time.monotonic() - began:.0f} s", file=sys.stderr)
    json.dump(figures, sys.stdout, indent=2)
    print()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
