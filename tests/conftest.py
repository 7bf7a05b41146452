"""Fixtures that every folder of tests may use, and the logs of Envoys beside a failure."""

import logging
from collections.abc import Generator, Iterator

import hypothesis
import pytest
import structlog

from tests.support import envoyproc
from tests.support.certs import CertFolder
from tests.support.fleet import EchoFleet
from tests.support.loopback import LoopbackNet

# How fast inputs are made depends on what else the machine does: no reason for a test to fail.
hypothesis.settings.register_profile(
    "waypost", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("waypost")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected files")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A command that a test runs in this process sets up logging for the process."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def net() -> Iterator[LoopbackNet]:
    """A loopback /24 of this session alone."""
    network = LoopbackNet()
    yield network
    network.close()


@pytest.fixture(scope="session")
def certs(tmp_path_factory: pytest.TempPathFactory) -> CertFolder:
    """A certificate authority and the SVIDs that it issues on demand."""
    return CertFolder(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="session")
def fleet() -> Iterator[EchoFleet]:
    """Echo applications; tests add the pods they need."""
    with EchoFleet() as echoes:
        yield echoes


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for envoy in envoyproc.running:
            report.sections.append((f"log of Envoy {envoy.name}", envoy.log_tail()))
    return report
