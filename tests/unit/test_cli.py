"""The command line: instant help, offline translation, exit codes that tell."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from xds_server.cli import main

BOOKINFO = "examples/bookinfo"


def run(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, arguments, input=stdin)
    return result.exit_code, result.stdout, result.stderr


def test_help_names_every_command_and_imports_none():
    code = (
        "import sys; from xds_server.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'grpc', 'aiohttp', 'envoy_data_plane', 'cryptography', 'kubernetes', 'yaml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for name in ("serve", "translate", "bootstrap", "demo", "ca", "status"):
        assert f"\n  {name} " in done.stdout
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize("command", ["serve", "translate", "bootstrap", "demo", "ca"])
def test_every_command_explains_itself(command):
    code, out, _ = run(command, "--help")
    assert code == 0
    assert out.startswith("Usage:")


def test_unknown_command_is_a_usage_error():
    assert run("nonsense")[0] == 2


def test_translate_prints_what_envoy_would_get():
    code, out, err = run("translate", "-f", BOOKINFO)
    assert (code, err) == (0, "")
    (document,) = yaml.safe_load_all(out)
    assert document["waypoint"] == "bookinfo/waypoint"
    assert {listener["name"] for listener in document["listeners"]} == {
        "connect_terminate",
        "main_internal",
        "connect_originate",
    }
    names = {cluster["name"] for cluster in document["clusters"]}
    assert "inbound-vip|9080|http|reviews.bookinfo.svc.cluster.local" in names


def test_translate_as_json_is_the_same():
    (from_yaml,) = yaml.safe_load_all(run("translate", "-f", BOOKINFO)[1])
    assert json.loads(run("translate", "-f", BOOKINFO, "-o", "json")[1]) == [from_yaml]


def test_translate_shows_the_effective_retry_and_timeout_of_every_route():
    (document,) = yaml.safe_load_all(run("translate", "-f", BOOKINFO)[1])
    actions = [
        (table["name"], route["name"], route["route"])
        for table in document["routes"]
        for host in table["virtual_hosts"]
        for route in host["routes"]
        if "route" in route and table["name"] != "connect"
    ]
    assert actions
    for table, name, action in actions:
        assert "timeout" in action, (table, name)
        assert {"retry_on", "num_retries"} <= action["retry_policy"].keys(), (table, name)


def test_translate_reads_standard_input():
    text = Path("tests/golden/service/http-port/input.yaml").read_text()
    code, out, _ = run("translate", "-f", "-", "--waypoint", "shop/waypoint", stdin=text)
    assert code == 0
    assert "inbound-vip|80|http|web.shop.svc.cluster.local" in out


def test_translate_names_the_waypoints_there_are():
    code, _, err = run("translate", "-f", BOOKINFO, "--waypoint", "bookinfo/nope")
    assert code == 1
    assert "bookinfo/waypoint" in err


def test_translate_of_nothing_is_an_error():
    assert run("translate", "-f", "no/such/folder")[0] == 1


def test_translate_says_what_is_wrong_and_does_the_rest(tmp_path):
    good = Path("tests/golden/service/http-port/input.yaml").read_text()
    (tmp_path / "good.yaml").write_text(good)
    (tmp_path / "bad.yaml").write_text("kind: Service\napiVersion: v1\nmetadata: {name: 5}\n")
    code, out, err = run("translate", "-f", str(tmp_path))
    assert code == 79
    assert "web.shop.svc.cluster.local" in out
    assert "bad.yaml:1" in err
    assert "metadata.name" in err


@pytest.mark.parametrize("address", ["0.0.0.0:15010", "192.0.2.1:15010", "localhost:15010"])
def test_serve_refuses_plaintext_that_others_can_reach(address, tmp_path):
    code, _, err = run("serve", "--manifests", str(tmp_path), "--xds", address)
    assert code == 2
    assert "loopback" in err or "not an IP address" in err


def test_serve_wants_one_source(tmp_path):
    assert run("serve")[0] == 2
    assert run("serve", "--kubernetes", "--manifests", str(tmp_path))[0] == 2


def test_help_is_quick():
    """Generous: the point is that nothing heavy is imported, see above."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "xds_server", "--help"], capture_output=True, check=True)
    assert time.perf_counter() - start < 2


def test_serve_says_plainly_that_a_kubeconfig_is_no_good(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("clusters: [")
    result = CliRunner().invoke(
        main,
        [
            *("serve", "--kubernetes", "--kubeconfig", str(kubeconfig)),
            *("--ca-dir", str(tmp_path / "ca"), "--xds", "127.0.0.1:0", "--admin", "127.0.0.1:0"),
        ],
    )
    assert result.exit_code == 1
    assert "Error: the kubeconfig can't be used" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["serve", "--manifests", BOOKINFO, "--admin", "x"], 2, "--admin: 'x' is not of the form"),
        (["serve", "--manifests", BOOKINFO, "--xds", "x"], 2, "--xds: 'x' is not of the form"),
        (["bootstrap", "--waypoint", "a/b", "--xds", "x:99999"], 2, "has no valid port"),
        (["bootstrap", "--waypoint", "a/b", "--xds", "x.example:1"], 0, "give --xds-roots"),
        (
            ["describe", "service", "reviews", "-f", BOOKINFO],
            1,
            "there is one in bookinfo: give -n",
        ),
        (["describe", "service", "nope", "-f", BOOKINFO], 1, "no Service default/nope\n"),
        (["authz", "matrix", "-f", BOOKINFO, "--to", "reviews.bookinfo:1"], 1, "its ports: 9080"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_what_to_do(
    arguments: list[str], code: int, words: str
) -> None:
    result = run(*arguments)
    assert result[0] == code
    assert words in result[2]


@pytest.mark.parametrize("command", [["serve", "--kubernetes"], ["check"], ["waypoint", "list"]])
def test_without_a_kubeconfig_there_is_one_line(command: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "none")}
    environment.pop("KUBERNETES_SERVICE_HOST", None)
    command = [sys.executable, "-m", "xds_server", *command]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        f"Error: there is no kubeconfig at {tmp_path}/none: give --kubeconfig or set KUBECONFIG\n"
    )


def test_a_mesh_configuration_that_is_no_yaml_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "mesh.yaml"
    path.write_text("trustDomain: [")
    code, _, err = run("status", "-f", BOOKINFO, "--mesh-config", str(path))
    assert code == 1
    assert err.startswith(f"Error: {path}:1: is no valid YAML: ")
    assert err.count("\n") == 1


def test_an_empty_folder_is_not_taken_for_a_fine_one(tmp_path: Path) -> None:
    code, out, err = run("status", "-f", str(tmp_path))
    assert (code, out) == (0, "nothing here has a status\n")
    assert f"no manifests in {tmp_path}" in err


def test_every_option_of_serve_is_a_setting_of_the_environment_too() -> None:
    serve = main.get_command(click.Context(main), "serve")
    assert serve is not None
    for option in serve.params:
        name = option.opts[0].removeprefix("--").replace("-", "_").upper()
        plural = ("ES" if name.endswith("ALIAS") else "S") if option.multiple else ""
        assert option.envvar == f"WAYPOST_{name}{plural}"
