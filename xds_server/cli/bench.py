"""``waypost bench``."""

from pathlib import Path

import click


@click.group()
def bench() -> None:
    """Make meshes of any size to measure with."""


@bench.command(short_help="Write a generated mesh to a folder.")
@click.option(
    "--namespaces", type=click.IntRange(1, 60_000), default=10, show_default=True, help="How many."
)
@click.option(
    "--services",
    type=click.IntRange(0, 1000),
    default=25,
    show_default=True,
    help="Of each namespace.",
)
@click.option(
    "--pods", type=click.IntRange(0, 50), default=10, show_default=True, help="Of each service."
)
@click.option(
    "--rules", type=click.IntRange(1, 16), default=10, show_default=True, help="Of each route."
)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def world(folder: Path, namespaces: int, services: int, pods: int, rules: int) -> None:
    """Write a generated mesh to FOLDER, one file of JSON documents a namespace.

    Each namespace has a waypoint; each service has that many pods, an HTTPRoute of that many
    rules, and an AuthorizationPolicy.
    """
    import json

    from xds_server.cli.bench_manifests import manifests

    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for number in range(namespaces):
        documents = [json.dumps(each) for each in manifests(number, services, pods, rules)]
        (folder / f"ns-{number}.yaml").write_text("\n---\n".join(documents) + "\n")
        count += len(documents)
    click.echo(f"{count} objects in {namespaces} files in {folder}")
