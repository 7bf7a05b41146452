"""How waypoints are deployed: flags before the environment before the mesh's configuration."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from translators.deployment import DEFAULT_IMAGE, DeploymentSettings
from xds_server.cli.deployment_options import Deployment, deployment_options
from xds_server.cli.options import mesh_options

FILE = """
waypost:
  waypoints: {image: of.file, revision: of-file, concurrency: 8, drainSeconds: 60, xdsAddress: f:1}
"""


def settings(tmp_path: Path, *arguments: str, env: dict[str, str] | None = None) -> Any:
    found = []

    @click.command()
    @deployment_options
    @mesh_options
    def command(deployment: Deployment, mesh: Any) -> None:
        found.append((deployment.settings(mesh, "home", "us"), deployment.revision_in(mesh)))

    result = CliRunner().invoke(command, list(arguments), env=env or {})
    return found[0] if found else result.output


def test_by_default_it_is_stock_envoy_and_our_own_service(tmp_path: Path):
    made = settings(tmp_path)
    usual = DeploymentSettings("waypost.home.svc:15012", DEFAULT_IMAGE, audience="us")
    assert made == (usual, "default")


def test_a_flag_counts_before_the_environment_and_that_before_the_file(tmp_path: Path):
    file = tmp_path / "mesh.yaml"
    file.write_text(FILE)
    env = {"WAYPOST_WAYPOINT_IMAGE": "of.env", "WAYPOST_REVISION": "of-env"}
    made = settings(tmp_path, "--mesh-config", str(file), "--revision", "of-flag", env=env)
    assert made == (DeploymentSettings("f:1", "of.env", 8, 60, "us"), "of-flag")


def test_an_address_that_is_none_is_refused(tmp_path: Path):
    assert "--waypoint-xds" in settings(tmp_path, "--waypoint-xds", "nowhere")


@pytest.mark.parametrize(
    ("asked", "writes", "is_reachable", "wanted"),
    [
        (None, True, True, True),
        (None, True, False, False),
        (None, False, True, False),
        (False, True, True, False),
        (True, True, True, True),
    ],
)
def test_it_deploys_where_envoys_can_reach_it(
    asked: bool | None, writes: bool, is_reachable: bool, wanted: bool
):
    options = Deployment(asked, None, None, None, None, None)
    assert options.is_wanted(writes=writes, is_reachable=is_reachable) is wanted


@pytest.mark.parametrize(("writes", "is_reachable"), [(False, True), (True, False)])
def test_what_can_not_be_is_refused(writes: bool, is_reachable: bool):
    options = Deployment(True, None, None, None, None, None)
    with pytest.raises(click.UsageError):
        options.is_wanted(writes=writes, is_reachable=is_reachable)
    elsewhere = Deployment(True, None, "other:1", None, None, None)
    if writes:
        assert elsewhere.is_wanted(writes=True, is_reachable=False)
