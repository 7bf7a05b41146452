"""Every line on standard error is JSON, whoever logs."""

import json
import logging

import pytest
import structlog

from xds_server.serving import log_to_stderr


def test_lines_are_json(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr()
    structlog.get_logger("ours").info("served", waypoint="a/b")
    structlog.get_logger("ours").debug("not told")
    try:
        raise ValueError("because")
    except ValueError:
        structlog.get_logger("ours").exception("failed")
        logging.getLogger("asyncio").exception("Task exception %s", "x")
    logging.getLogger("aiohttp.access").info("not told")
    said = capsys.readouterr()
    assert said.out == ""
    lines = [json.loads(line) for line in said.err.splitlines()]
    assert [line["event"] for line in lines] == ["served", "failed", "Task exception x"]
    assert [line["level"] for line in lines] == ["info", "error", "error"]
    assert all(line["ts"].endswith("Z") for line in lines)
    assert lines[0]["waypoint"] == "a/b"
    assert all("ValueError: because" in line["exception"] for line in lines[1:])
    assert lines[2]["logger"] == "asyncio"
