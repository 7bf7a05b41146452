import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from xds_server.cli.ca import ca


def issue(tmp_path: Path, *args: str) -> Result:
    paths = ["--ca-dir", str(tmp_path / "ca"), "--out", str(tmp_path / "out")]
    return CliRunner().invoke(ca, ["issue", *paths, *args])


def leaf_in(tmp_path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((tmp_path / "out" / "cert-chain.pem").read_bytes())


def test_issue_writes_a_pair_that_fits_and_the_roots(tmp_path: Path) -> None:
    result = issue(tmp_path, "demo/client", "--ttl", "1h30m", "--trust-domain", "td.example")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("spiffe://td.example/ns/demo/sa/client, valid until ")

    out = tmp_path / "out"
    assert {file.name for file in out.iterdir()} == {"cert-chain.pem", "key.pem", "root-cert.pem"}
    assert (out / "key.pem").stat().st_mode & 0o777 == 0o600
    assert all(str(file) in result.output for file in out.iterdir())
    leaf, key = leaf_in(tmp_path), load_pem_private_key((out / "key.pem").read_bytes(), None)
    assert key.public_key() == leaf.public_key()
    root = x509.load_pem_x509_certificate((out / "root-cert.pem").read_bytes())
    leaf.verify_directly_issued_by(root)
    left = leaf.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(minutes=89) < left <= timedelta(minutes=90)


def test_output_never_shows_the_key(tmp_path: Path) -> None:
    result = issue(tmp_path, "demo/client")
    key = (tmp_path / "out" / "key.pem").read_text()
    assert key.splitlines()[1] not in result.output


def test_issuing_again_keeps_the_ca_and_replaces_the_files(tmp_path: Path) -> None:
    issue(tmp_path, "demo/client")
    first, root = leaf_in(tmp_path), (tmp_path / "out" / "root-cert.pem").read_bytes()
    assert issue(tmp_path, "demo/client").exit_code == 0
    assert leaf_in(tmp_path).serial_number != first.serial_number
    assert (tmp_path / "out" / "root-cert.pem").read_bytes() == root
    assert (tmp_path / "out" / "key.pem").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "args",
    [
        ["demo"],
        ["demo/"],
        ["/client"],
        ["demo/client/x"],
        ["Demo/client"],
        ["demo/client", "--trust-domain", "a/b"],
        ["demo/client", "--ttl", "0s"],
        ["demo/client", "--ttl", "25h"],
        ["demo/client", "--ttl", "999999h"],
        ["demo/client", "--ttl", ""],
        ["demo/client", "--ttl", "1"],
        ["demo/client", "--ttl", "-1h"],
        ["demo/client", "--ttl", "1d"],
        [],
    ],
)
def test_bad_usage_exits_with_2_and_makes_nothing(tmp_path: Path, args: list[str]) -> None:
    result = issue(tmp_path, *args)
    assert result.exit_code == 2, result.output
    assert list(tmp_path.iterdir()) == []


def test_output_into_the_ca_is_refused(tmp_path: Path) -> None:
    result = issue(tmp_path, "demo/client", "--out", str(tmp_path / "x" / ".." / "ca"))
    assert result.exit_code == 2
    assert "must not be the directory of the CA" in result.output


def test_a_broken_ca_exits_with_1_and_says_why(tmp_path: Path) -> None:
    issue(tmp_path, "demo/client")
    (tmp_path / "ca" / "ca-key.pem").chmod(0o644)
    result = issue(tmp_path, "demo/client")
    assert result.exit_code == 1
    assert "Error: CA in" in result.output
    assert "ca-key.pem has mode 0644" in result.output


def test_an_output_that_can_not_be_written_exits_with_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = issue(tmp_path, "demo/client", "--out", str(tmp_path / "file" / "out"))
    assert result.exit_code == 1


def test_help_does_not_load_the_crypto_library() -> None:
    code = "import sys, xds_server.cli.ca; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_init_makes_a_ca_once_and_says_how_a_cluster_gets_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "ca"
    first = CliRunner().invoke(ca, ["init", str(folder)])
    assert first.exit_code == 0, first.output
    assert f"--from-file {folder}" in first.output
    made = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert made.keys() == {"ca-cert.pem", "ca-key.pem", "root-cert.pem"}
    assert CliRunner().invoke(ca, ["init", str(folder)]).exit_code == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == made
    (folder / "ca-key.pem").unlink()
    broken = CliRunner().invoke(ca, ["init", str(folder)])
    assert broken.exit_code == 1
    assert "ca-key.pem is missing" in broken.output


def test_init_leaves_a_folder_of_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "httproute.yaml").write_text("")
    result = CliRunner().invoke(ca, ["init", str(tmp_path)])
    assert result.exit_code == 1
    assert "neither empty nor a CA" in result.output
    assert [file.name for file in tmp_path.iterdir()] == ["httproute.yaml"]
