"""A golden case: a folder with ``input.yaml`` and what it must become, one file a type."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from translators.compiler import Compiler
from translators.deployment import DeploymentSettings, deployed, overlays
from translators.ir.authentication import TokenRules
from translators.ir.external_authorization import AuthzProvider, CheckProtocol
from translators.ir.listener import ConnectTerminate
from translators.ir.waypoint import Mesh
from translators.resources import parse
from translators.wire import Resource, TypeUrl
from translators.wire.reading import readable
from translators.world import Change
from translators.xds import resource
from xds_server.cli.status import document

CASES = Path(__file__).parent
FILES = {
    TypeUrl.LISTENER: "listeners.yaml",
    TypeUrl.ROUTE: "routes.yaml",
    TypeUrl.CLUSTER: "clusters.yaml",
    TypeUrl.ENDPOINT: "endpoints.yaml",
    TypeUrl.EXTENSION: "extensions.yaml",
}
MESH = Mesh(
    revision="default",
    providers=(
        AuthzProvider("opa", "opa.auth.svc.cluster.local", 9191, CheckProtocol.GRPC),
        AuthzProvider(
            "session",
            "session.auth.svc.cluster.local",
            8000,
            CheckProtocol.HTTP,
            request_headers=("cookie",),
            headers_upstream_on_allow=("x-user",),
            headers_downstream_on_deny=("location", "set-*"),
        ),
    ),
)
DEPLOYMENT = DeploymentSettings("waypost.istio-system.svc:15012")
CHANGED = "2024-01-01T12:00:00Z"


@dataclass(frozen=True)
class Case:
    folder: Path

    @property
    def name(self) -> str:
        return str(self.folder.relative_to(CASES))

    def changes(self) -> list[Change]:
        text = (self.folder / "input.yaml").read_text()
        parsed = [parse(document) for document in yaml.safe_load_all(text) if document]
        return [Change(item.value.key, item.value) for item in parsed if item.value is not None]

    def expected_files(self) -> set[Path]:
        return {path for path in self.folder.glob("*.yaml") if path.name != "input.yaml"}


def all_cases() -> Iterator[Case]:
    for path in sorted(CASES.glob("**/input.yaml")):
        yield Case(path.parent)


def compiled(changes: list[Change]) -> Compiler:
    compiler = Compiler(MESH)
    compiler.apply(changes)
    return compiler


def resources(compiler: Compiler) -> dict[str, list[Resource]]:
    """What every waypoint's Envoys get, by the waypoint's name, sorted by key."""
    terminate = resource(ConnectTerminate("0.0.0.0:15008", MESH.trust_domains))
    return {
        str(name): sorted(
            [terminate, *compiler.resources(name).values()], key=lambda item: item.key
        )
        for name in compiler.waypoints()
    }


def outputs(case: Case) -> dict[str, str]:
    """The content of each expected file, by file name; empty ones are left out."""
    compiler = compiled(case.changes())
    hidden = frozenset() if case.name == "waypoint/empty" else static_versions()
    by_file: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for waypoint, found in resources(compiler).items():
        for each in found:
            if each.version not in hidden:
                file = by_file.setdefault(FILES[each.key.type_url], {})
                file.setdefault(waypoint, []).append(without_type(readable(each)))
    texts = {name: to_yaml(content) for name, content in by_file.items()}
    texts["status.yaml"] = statuses(compiler)
    if case.folder.parent.name == "deployment":
        texts["deployment.yaml"] = deployments(case)
    return texts


@cache
def static_versions() -> frozenset[str]:
    """What even a waypoint without services has: shown by the case ``waypoint/empty`` alone."""
    empty = Case(CASES / "waypoint" / "empty")
    found = resources(compiled(empty.changes()))
    no_tokens = resource(TokenRules())
    return frozenset(item.version for items in (*found.values(), (no_tokens,)) for item in items)


def without_type(content: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != "@type"}


def statuses(compiler: Compiler) -> str:
    """What ``waypost status -o yaml`` prints, as if it all had come about at the same time."""
    documents = map(document, compiler.statuses(lambda _condition: CHANGED))
    return yaml.safe_dump_all(documents, sort_keys=False, width=100, allow_unicode=True)


def deployments(case: Case) -> str:
    """The objects that are deployed for the Gateways, with the case's ConfigMaps as parameters."""
    texts = yaml.safe_load_all((case.folder / "input.yaml").read_text())
    config_maps = [document for document in texts if document["kind"] == "ConfigMap"]
    made: list[dict[str, Any]] = []
    for gateway in compiled(case.changes()).deployable():
        made += deployed(MESH, DEPLOYMENT, gateway, overlays(config_maps))
    return yaml.safe_dump_all(made, sort_keys=False, width=100, allow_unicode=True)


def to_yaml(content: Any) -> str:
    return yaml.safe_dump(content, sort_keys=False, width=100, allow_unicode=True)
