"""What ``waypost describe`` says."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from xds_server.cli import main


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["describe", *map(str, arguments)])


def told(folder: Path, kind: str, name: str, namespace: str = "shop") -> dict[str, Any]:
    where = [] if kind == "namespace" else ["-n", namespace]
    result = run(kind, name, *where, "-f", folder, "-o", "json")
    assert result.exit_code == 0, result.output
    facts: dict[str, Any] = json.loads(result.output)
    return facts
