"""Manifests of a folder are judged as an API server would, wherever they are read."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from translators.world import Change
from xds_server.cli import main
from xds_server.cli.checking import manifest_check
from xds_server.cli.source_options import folder_source

pytest.importorskip("jsonschema_rs")
pytest.importorskip("cel_expr_python")

ROUTE = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: good, namespace: shop}
spec: {parentRefs: [{group: "", kind: Service, name: cart, port: 80}]}
"""
REFUSED = ROUTE.replace("name: good", "name: typo").replace("port: 80", "prot: 80")
BY_RULE = ROUTE.replace("name: good", "name: rule").replace(
    "port: 80", "port: 80}, {group: '', kind: Service, name: cart, port: 80"
)
SAID = "is no field that the schema knows"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "routes.yaml").write_text("---".join([ROUTE, REFUSED, BY_RULE]))
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.mark.parametrize(
    "command",
    [
        ("translate",),
        ("status",),
        ("authz", "matrix", "--to", "cart.shop:80"),
    ],
)
def test_offline_commands_name_what_a_cluster_would_refuse(folder: Path, command: tuple[str, ...]):
    (folder / "service.yaml").write_text(
        "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n"
        "spec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 80}]}\n"
    )
    result = run(*command, "-f", folder)
    assert result.exit_code == 79
    assert f"HTTPRoute shop/typo spec.parentRefs[0].prot {SAID}" in result.stderr
    assert "HTTPRoute shop/rule spec.parentRefs is refused:" in result.stderr
    assert "shop/good" not in result.stderr


def test_a_refused_object_has_no_status(folder: Path):
    result = run("status", "-f", folder, "-o", "json")
    assert '"good"' in result.stdout
    assert '"typo"' not in result.stdout
    assert '"rule"' not in result.stdout


async def test_the_source_of_serve_refuses_them_too(folder: Path):
    seen: list[Change] = []
    synced = asyncio.Event()

    def take(changes: Sequence[Change]) -> None:
        seen.extend(changes)

    source = folder_source(folder)
    running = asyncio.create_task(source.run(take, synced.set))
    try:
        await asyncio.wait_for(synced.wait(), 10)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [change.key.name for change in seen] == ["good"]
    assert sorted({problem.object.name for problem in source.problems() if problem.object}) == [
        "rule",
        "typo",
    ]


def test_fields_that_move_between_releases_are_nobodys_mistake(folder: Path):
    for fields in ("sessionName: old, cookieConfig: {lifetimeType: Session}", "cookie: {name: a}"):
        text = ROUTE.replace("spec: {", f"spec: {{rules: [{{sessionPersistence: {{{fields}}}}}], ")
        (folder / "routes.yaml").write_text(text)
        assert run("validate", "-f", folder).stdout == ""


def test_what_is_not_installed_is_said_once(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)
    for name in [name for name in sys.modules if name.startswith("xds_server.validation")]:
        monkeypatch.delitem(sys.modules, name)
    said: list[str] = []
    assert list(manifest_check(said.append)({"kind": "HTTPRoute"})) == []
    (notice,) = said
    assert "jsonschema_rs is not installed" in notice
    result = run("translate", "-f", folder)
    assert result.stderr.count("waypost[validation]") == 1
    assert SAID not in result.stderr
