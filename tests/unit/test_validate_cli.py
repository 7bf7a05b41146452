"""``waypost validate``: each problem once, where it is, and an exit code for CI."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from xds_server.cli import main

GOOD = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: good}
spec: {rules: [{backendRefs: [{name: web, port: 80}]}]}
"""
BAD = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: bad, namespace: shop}
spec: {rules: [{backendRefs: [{name: web}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: vs}
spec: {hosts: [a], http: [{route: [{destination: {}}]}]}
"""


def run(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["validate", *arguments], input=stdin)
    return result.exit_code, result.stdout, result.stderr


def test_good_manifests_pass(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    assert run("-f", str(tmp_path)) == (0, "", "1 file, 1 object, 0 problems\n")


def test_the_examples_pass() -> None:
    for example in sorted(Path("examples").iterdir()):
        if example.is_dir():
            code, out, _ = run("-f", str(example))
            assert (code, out) == (0, "")


def test_problems_are_told_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "bad.yaml").write_text(BAD)
    (tmp_path / "good.yaml").write_text(GOOD)
    code, out, err = run("-f", str(tmp_path))
    assert code == 79
    first, second = out.splitlines()
    assert first.startswith("sub/bad.yaml:2: HTTPRoute shop/bad spec.rules[0].backendRefs[0] ")
    assert "Must have port for Service reference" in first
    assert second.startswith(
        "sub/bad.yaml:7: VirtualService vs spec.http[0].route[0].destination.host is required"
    )
    assert err == "2 files, 3 objects, 2 problems\n"


def test_json_for_machines() -> None:
    code, out, _ = run("-f", "-", "-o", "json", stdin=BAD)
    assert code == 79
    found = json.loads(out)
    assert [(each["file"], each["line"], each["name"]) for each in found] == [
        ("<stdin>", 2, "bad"),
        ("<stdin>", 7, "vs"),
    ]
    assert found[0]["field"] == "spec.rules[0].backendRefs[0]"
    assert found[0]["namespace"] == "shop"


def test_what_can_not_be_read_is_a_problem_too(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "good.yaml").write_text(GOOD)
    code, out, err = run("-f", str(tmp_path))
    assert code == 79
    assert out.startswith("broken.yaml:2: is no valid YAML")
    assert err == "2 files, 1 object, 1 problem\n"


def test_a_field_that_two_checks_refuse_is_told_once() -> None:
    manifest = GOOD.replace("port: 80", "port: 99999")
    code, out, _ = run("-f", "-", stdin=manifest)
    assert code == 79
    assert out.count("backendRefs[0].port") == 1


@pytest.mark.parametrize(("channel", "code"), [("experimental", 0), ("standard", 79)])
def test_the_channel_decides_about_experimental_fields(channel: str, code: int) -> None:
    manifest = GOOD.replace("rules: [{", "rules: [{retry: {attempts: 2}, ")
    assert run("-f", "-", "--channel", channel, stdin=manifest)[0] == code


def test_a_missing_folder_is_an_error_and_no_finding(tmp_path: Path) -> None:
    code, out, err = run("-f", str(tmp_path / "none"))
    assert (code, out) == (1, "")
    assert "No such file" in err
