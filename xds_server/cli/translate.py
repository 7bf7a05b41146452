"""``waypost translate``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xds_server.cli.options import manifests_option, mesh_options

if TYPE_CHECKING:
    from translators.compiler import Compiler
    from translators.ir.waypoint import Mesh, WaypointName


@click.command()
@manifests_option
@click.option("--waypoint", metavar="NAMESPACE/NAME", help="Only this waypoint.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="The format.",
)
@mesh_options
def translate(manifests: Path, waypoint: str | None, output: str, mesh: "Mesh") -> None:
    """Print what the Envoys of each waypoint would get for these manifests.

    Manifests that can't be read are named on standard error; the exit code is then 79. What became
    of those that can, "waypost status" tells.
    """
    from xds_server.cli.manifests import chosen_waypoints, compile_manifests

    compiled = compile_manifests(manifests, mesh)
    chosen = chosen_waypoints(compiled.compiler, waypoint)
    documents = [_describe(compiled.compiler, name) for name in chosen]
    click.echo(_to_yaml(documents) if output == "yaml" else _to_json(documents), nl=False)
    compiled.report()


def _describe(compiler: "Compiler", waypoint: "WaypointName") -> dict[str, Any]:
    from translators.ir.listener import ConnectTerminate
    from translators.wire import TypeUrl
    from translators.wire.reading import readable
    from translators.xds import resource

    own = resource(ConnectTerminate("0.0.0.0:15008", compiler.mesh.trust_domains))
    found = sorted([own, *compiler.resources(waypoint).values()], key=lambda item: item.key)
    sections = {
        "listeners": TypeUrl.LISTENER,
        "extensions": TypeUrl.EXTENSION,
        "routes": TypeUrl.ROUTE,
        "clusters": TypeUrl.CLUSTER,
        "endpoints": TypeUrl.ENDPOINT,
    }
    return {"waypoint": str(waypoint)} | {
        title: [readable(item) for item in found if item.key.type_url is type_url]
        for title, type_url in sections.items()
    }


def _to_yaml(documents: list[dict[str, Any]]) -> str:
    import yaml

    return yaml.safe_dump_all(documents, sort_keys=False, width=100, allow_unicode=True)


def _to_json(documents: list[dict[str, Any]]) -> str:
    import json

    return json.dumps(documents, indent=2) + "\n"
