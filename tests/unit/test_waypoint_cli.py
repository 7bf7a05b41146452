"""``waypost waypoint`` without a cluster: what it prints, and what it does to a folder."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from xds_server.cli import main

BOOKINFO = Path(__file__).parents[2] / "examples" / "bookinfo"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["waypoint", *map(str, arguments)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BOOKINFO, tmp_path / "bookinfo"))


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_generate_prints_the_least_that_makes_a_waypoint():
    assert run("generate").output == (
        "apiVersion: gateway.networking.k8s.io/v1\n"
        "kind: Gateway\n"
        "metadata:\n"
        "  name: waypoint\n"
        "spec:\n"
        "  gatewayClassName: istio-waypoint\n"
        "  listeners:\n"
        "  - name: mesh\n"
        "    port: 15008\n"
        "    protocol: HBONE\n"
    )


def test_generate_with_all_options():
    result = run("--name", "wp", "generate", "-n", "shop", "--for", "all", "-r", "canary")
    assert yaml.safe_load(result.output)["metadata"] == {
        "labels": {"istio.io/waypoint-for": "all", "istio.io/rev": "canary"},
        "name": "wp",
        "namespace": "shop",
    }
    as_json = run("generate", "--name", "wp", "-o", "json")
    assert json.loads(as_json.output)["metadata"] == {"name": "wp"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--for", "x"], "invalid traffic type: x. Valid options are: [all none service workload]"),
        (["--name", "none"], "waypoint, 'none' is a reserved value"),
        (["--name", "../../x"], "invalid name provided for waypoint: '../../x'"),
        (["-n", "A b"], "invalid name provided for namespace: 'A b'"),
    ],
)
def test_what_cannot_be_a_waypoint_is_refused(arguments: list[str], words: str):
    result = run("generate", *arguments)
    assert result.exit_code == 1
    assert words in result.output


def test_apply_writes_a_file_that_is_what_generate_prints(folder: Path):
    before = contents(folder)
    result = run("apply", "-f", folder, "-n", "bookinfo", "--name", "wp", "--for", "workload")
    assert (result.exit_code, result.output) == (0, "✅ waypoint bookinfo/wp applied\n")
    after = contents(folder)
    expected = run("generate", "-n", "bookinfo", "--name", "wp", "--for", "workload").output
    assert after == before | {"wp.yaml": expected}


def test_apply_never_takes_a_file_that_is_another(folder: Path):
    (folder / "wp.yaml").write_text("# mine\n")
    run("apply", "-f", folder, "-n", "bookinfo", "--name", "wp")
    assert (folder / "wp.yaml").read_text() == "# mine\n"
    assert (folder / "bookinfo-wp.yaml").exists()


def test_apply_edits_the_label_and_nothing_else(folder: Path):
    before = contents(folder)
    run("apply", "-f", folder, "-n", "bookinfo", "--for", "all")
    edited = before["gateway.yaml"].replace("waypoint-for: service", "waypoint-for: all")
    assert contents(folder) == before | {"gateway.yaml": edited}


def test_apply_again_writes_nothing(folder: Path):
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    result = run("apply", "-f", folder, "-n", "bookinfo", "--for", "service")
    assert result.exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_apply_to_a_file_adds_a_document(tmp_path: Path):
    path = tmp_path / "all.yaml"
    path.write_text("# who we are\napiVersion: v1\nkind: Namespace\nmetadata: {name: shop} # us")
    run("apply", "-f", path, "-n", "shop")
    text = path.read_text()
    assert text.startswith("# who we are\napiVersion: v1\nkind: Namespace\n")
    first, second = yaml.safe_load_all(text)
    assert (first["kind"], second["kind"]) == ("Namespace", "Gateway")


def test_enrolment_edits_the_namespace_where_it_is(folder: Path):
    before = contents(folder)
    warned = run("apply", "-f", folder, "-n", "bookinfo", "--enroll-namespace", "--name", "wp")
    assert "already has an enrolled Waypoint" in warned.output
    assert contents(folder) == before
    run(
        "apply", "-f", folder, "-n", "bookinfo", "--enroll-namespace", "--name", "wp", "--overwrite"
    )
    edited = before["namespace.yaml"].replace("use-waypoint: waypoint", "use-waypoint: wp")
    assert contents(folder)["namespace.yaml"] == edited


def test_enrolment_of_a_namespace_without_a_manifest_changes_nothing(folder: Path):
    before = contents(folder)
    result = run("apply", "-f", folder, "-n", "lost", "--enroll-namespace")
    assert (result.exit_code, result.output) == (1, "Error: namespace: lost not found\n")
    assert contents(folder) == before


def test_nothing_is_waited_for_in_a_folder(folder: Path):
    result = run("apply", "-f", folder, "-n", "bookinfo", "-w")
    assert result.exit_code == 1
    assert "timed out while waiting for waypoint\tbookinfo/waypoint: Failed to" in result.output


def test_a_gateway_of_another_class_is_left_alone(folder: Path):
    ingress = (folder / "gateway.yaml").read_text().replace("istio-waypoint", "istio")
    (folder / "gateway.yaml").write_text(ingress)
    result = run("apply", "-f", folder, "-n", "bookinfo")
    assert (result.exit_code, "it is no waypoint" in result.output) == (1, True)
    gone = run("delete", "-f", folder, "-n", "bookinfo", "waypoint")
    assert gone.output == "waypoint bookinfo/waypoint not found\n"
    assert (folder / "gateway.yaml").read_text() == ingress


def test_delete_removes_the_file_that_had_nothing_else(folder: Path):
    before = contents(folder)
    result = run("delete", "-f", folder, "-n", "bookinfo", "waypoint", "lost")
    assert result.output == "waypoint bookinfo/waypoint deleted\nwaypoint bookinfo/lost not found\n"
    del before["gateway.yaml"]
    assert contents(folder) == before


def test_delete_leaves_the_other_documents_of_a_file(tmp_path: Path):
    gateway = (BOOKINFO / "gateway.yaml").read_text()
    namespace = (BOOKINFO / "namespace.yaml").read_text()
    path = tmp_path / "all.yaml"
    path.write_text(f"# licence\n---\n{gateway}--- # and now\n{namespace}")
    run("delete", "-f", tmp_path, "--all", "-n", "bookinfo")
    assert path.read_text() == f"# licence\n--- # and now\n{namespace}"


@pytest.mark.parametrize("arguments", [["--all", "x"], ["-r", "a", "x"], []])
def test_delete_wants_names_or_all(folder: Path, arguments: list[str]):
    assert run("delete", "-f", folder, *arguments).exit_code == 2


@pytest.mark.parametrize("command", ["apply", "delete"])
def test_nothing_is_changed_beside_a_file_that_cannot_be_read(folder: Path, command: str):
    (folder / "bad.yaml").write_text("kind: [")
    before = contents(folder)
    names = ["waypoint"] if command == "delete" else ["--for", "all"]
    result = run(command, "-f", folder, "-n", "bookinfo", *names)
    assert result.exit_code == 1
    assert "bad.yaml" in result.output
    assert contents(folder) == before


def test_an_object_in_two_files_is_not_guessed_at(folder: Path):
    shutil.copy(folder / "gateway.yaml", folder / "copy.yaml")
    result = run("delete", "-f", folder, "-n", "bookinfo", "waypoint")
    assert result.exit_code == 1
    assert "copy.yaml and" in result.output


def test_an_object_in_a_list_is_not_edited(tmp_path: Path):
    items = [yaml.safe_load((BOOKINFO / "gateway.yaml").read_text())]
    path = tmp_path / "list.yaml"
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items}))
    before = path.read_text()
    result = run("apply", "-f", tmp_path, "-n", "bookinfo", "--for", "all")
    assert (result.exit_code, "it is in a List; do it by hand" in result.output) == (1, True)
    assert path.read_text() == before


def test_list_and_status(folder: Path):
    assert run("list", "-f", folder, "-n", "bookinfo").output == (
        "NAME         REVISION     TRAFFIC TYPE     PROGRAMMED\n"
        "waypoint     default      service          False\n"
    )
    assert run("status", "-f", folder, "-A").output == (
        "NAMESPACE     NAME         STATUS     TYPE           REASON               MESSAGE\n"
        "bookinfo      waypoint     False      Programmed     AddressNotUsable     "
        "Failed to assign to any requested addresses: "
        'hostname "waypoint.bookinfo.svc.cluster.local" not found\n'
    )
    assert run("list", "-f", folder).output == "No waypoints found.\n"


def test_list_for_machines(folder: Path):
    (found,) = yaml.safe_load_all(run("list", "-f", folder, "-A", "-o", "yaml").output)
    assert (found["name"], found["trafficType"]) == ("waypoint", "service")


def test_list_tells_what_could_not_be_read(folder: Path):
    (folder / "bad.yaml").write_text("kind: [")
    result = run("list", "-f", folder, "-A")
    assert result.exit_code == 79
    assert "bad.yaml" in result.stderr


def test_a_folder_that_is_not_there():
    result = run("list", "-f", "/nowhere/at/all")
    assert (result.exit_code, "no such file or folder" in result.output) == (1, True)


@pytest.mark.parametrize("bad", ["spec: oops", "spec: {listeners: [1]}", "spec: {}"])
@pytest.mark.parametrize("suffix", ["yaml", "json"])
def test_a_gateway_that_is_not_understood_is_not_edited(tmp_path: Path, bad: str, suffix: str):
    head = "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: waypoint}\n"
    path = tmp_path / f"a.{suffix}"
    text = head + bad
    path.write_text(json.dumps(yaml.safe_load(text)) if suffix == "json" else text)
    before = path.read_text()
    result = run("apply", "-f", tmp_path, "--for", "all")
    assert (result.exit_code, "can't be changed: spec" in result.output) == (1, True)
    assert path.read_text() == before


def test_a_kubeconfig_that_is_no_good(tmp_path: Path):
    (tmp_path / "config").write_text("clusters: [")
    result = run("list", "--kubeconfig", tmp_path / "config")
    assert result.exit_code == 1
    assert "Error: the kubeconfig can't be used" in result.output
