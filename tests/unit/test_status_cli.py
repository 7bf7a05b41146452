"""``waypost status``: what people and pipelines get to see."""

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from xds_server.cli import main

GOLDEN = Path(__file__).parents[1] / "golden"
FINE = GOLDEN / "httproute" / "matching" / "input.yaml"
WRONG = GOLDEN / "httproute" / "parent-problems" / "input.yaml"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["status", *map(str, arguments)])


def test_nothing_to_do():
    result = run("-f", FINE)
    assert (result.exit_code, result.stdout) == (0, "everything is fine\n")


def test_the_table_holds_what_is_not_fine():
    result = run("-f", WRONG)
    heading, *rows = result.stdout.splitlines()
    assert result.exit_code == 79
    assert heading.split() == [
        *("KIND", "NAMESPACE/NAME", "CONDITION", "STATUS", "REASON", "MESSAGE")
    ]
    assert {row.split()[1] for row in rows} == {"shop/lost", "shop/web"}
    assert all("False" in row for row in rows)


def test_all_conditions_are_in_the_long_table():
    result = run("-f", FINE, "--all")
    assert result.exit_code == 0
    assert "WaypointAccepted" in result.stdout
    assert "Route was valid" in result.stdout


def test_a_file_that_cannot_be_read_is_not_fine(tmp_path: Path):
    (tmp_path / "bad.yaml").write_text("kind: [")
    result = run("-f", tmp_path)
    assert (result.exit_code, result.stdout) == (79, "everything that could be read is fine\n")
    assert "bad.yaml" in result.stderr


@pytest.mark.parametrize("load", [json.loads, lambda text: list(yaml.safe_load_all(text))])
def test_documents_are_objects_with_their_status(load):
    output = "json" if load is json.loads else "yaml"
    documents = load(run("-f", WRONG, "-o", output).stdout)
    (lost,) = [one for one in documents if one["metadata"]["name"] == "lost"]
    assert (lost["apiVersion"], lost["kind"]) == ("gateway.networking.k8s.io/v1", "HTTPRoute")
    (parent,) = lost["status"]["parents"]
    accepted = parent["conditions"][0]
    assert (accepted["type"], accepted["status"]) == ("Accepted", "False")
    assert accepted["message"].startswith("spec.parentRefs[0]: ")
