"""Two hundred bad manifests dropped into the folder of a running server."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fuzz.test_manifests import JUNK, bad_files, is_json, mutants
from tests.support.certs import CertFolder
from tests.support.controlplane import ControlPlane, control_plane, eventually, settings
from translators.ir.waypoint import WaypointName
from translators.resources import parse

EXAMPLE = Path(__file__).parents[2] / "examples" / "bookinfo"
WAYPOINT = WaypointName("bookinfo", "waypoint")


def bad_mutants(count: int, seed: int) -> list[Any]:
    """Manifests that can be written as JSON and of which something can't be understood."""
    wrong = [mutant for mutant in mutants(JUNK) if is_json(mutant) and parse(mutant).problems]
    return random.Random(seed).sample(wrong, count)


def renamed(manifest: Any, number: int) -> Any:
    """The manifest as an object of its own, so that each is judged by itself."""
    name = f"mutant-{number}"
    return {**manifest, "metadata": {**manifest["metadata"], "name": name, "namespace": "zoo"}}


async def page(plane: ControlPlane, path: str) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{plane.addresses.admin}{path}") as answer,
    ):
        assert answer.status == 200
        return json.loads(await answer.text())


@pytest.mark.parametrize("seed", [1])
async def test_server_goes_on_and_names_each(tmp_path: Path, certs: CertFolder, seed: int):
    folder = tmp_path / "manifests"
    shutil.copytree(EXAMPLE, folder)
    async with control_plane(settings(tmp_path), folder, certs.authority) as plane:
        before = await page(plane, f"/config_dump?waypoint={WAYPOINT}")
        files: dict[str, str] = {}
        for number, mutant in enumerate(bad_mutants(190, seed)):
            name = f"mutant-{number}"
            files[f"{name}.json"] = name
            (folder / f"{name}.json").write_text(json.dumps(renamed(mutant, number)))
        for number, content in enumerate(bad_files()):
            files[f"bad-{number}.yaml"] = ""
            (folder / f"bad-{number}.yaml").write_bytes(content)
        assert len(files) >= 200

        def named() -> dict[str, list[str]]:
            found: dict[str, list[str]] = {}
            for problem in plane.server._source.problems():
                found.setdefault(problem.file, []).append(str(problem))
            return found

        await eventually(lambda: files.keys() <= named().keys(), "all named")
        for file, name in files.items():
            assert all(said.startswith(file) for said in named()[file])
            assert any(name in said for said in named()[file])
        shown = {each["file"] for each in await page(plane, "/problems")}
        assert files.keys() <= shown
        assert await page(plane, f"/config_dump?waypoint={WAYPOINT}") == before
