"""What the README says of the code is what the code says of itself."""

import json
import re
from pathlib import Path

from click.testing import CliRunner

from translators.gateway_api.features import SUPPORTED_FEATURES
from xds_server.cli import main

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]


def features(*options: str) -> str:
    outcome = CliRunner().invoke(main, ["features", *options])
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def test_features_are_those_of_the_code() -> None:
    readme = (ROOT / "README.md").read_text()
    found = re.search(r"<!-- features: begin -->\n(.*)<!-- features: end -->", readme, re.DOTALL)
    assert found is not None
    assert found[1] == features("-o", "markdown"), "put in: waypost features -o markdown"


def test_features_are_the_same_in_every_format() -> None:
    known = {feature.name: feature.meaning for feature in SUPPORTED_FEATURES}
    assert json.loads(features("-o", "json")) == known
    head, *rows = features().splitlines()
    assert head.split() == ["FEATURE", "MEANING"]
    assert dict(re.split(r" {3,}", row, maxsplit=1) for row in rows) == known


def test_links_and_commands_lead_somewhere() -> None:
    for document in DOCUMENTS:
        text = document.read_text()
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert (ROOT / target).exists(), f"{document.name}: {target}"
        for path in re.findall(r"`((?:translators|xds_server|tests|examples)/[\w./]*)`", text):
            assert path.endswith("input.yaml") or (ROOT / path).exists(), path
        for target in re.findall(r"`?make (\w+)`?", text):
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
        for command in re.findall(r"waypost (serve|bootstrap|translate|ca|demo|features)\b", text):
            assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0


def test_the_report_of_the_demo_has_the_rows_of_today() -> None:
    """The README shows a real run; a step that is renamed or added must be shown too."""
    from xds_server.demo.report import heading

    readme = (ROOT / "README.md").read_text()
    table = readme.partition(heading())[2].partition("```")[0]
    story = (ROOT / "xds_server/demo/story.py").read_text()
    rows = [row.split("   ")[0].strip() for row in table.strip().splitlines()]
    assert len(rows) == 11
    for row in rows[1:]:
        assert f'{row}"' in story, row
