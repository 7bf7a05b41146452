"""Runs every benchmark of this folder, one after the other, and prints one JSON list."""

import json
import subprocess
import sys
from pathlib import Path

NOT_BENCHMARKS = {"envoys.py", "loadclient.py", "plane.py", "run.py", "worlds.py"}


def main() -> int:
    """Print the figures of all benchmarks; the result is 1 if one of them failed."""
    figures, failed = [], False
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.name in NOT_BENCHMARKS:
            continue
        print(f"{path.name} ...", file=sys.stderr)
        done = subprocess.run([sys.executable, path], stdout=subprocess.PIPE, check=False)
        if done.returncode:
            failed = True
        else:
            figures.append(json.loads(done.stdout))
    json.dump(figures, sys.stdout, indent=2)
    print()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
