"""``waypost features``."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from translators.gateway_api.features import Feature


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "markdown"]),
    default="table",
    show_default=True,
    help="The format.",
)
def features(output: str) -> None:
    """List what of the Gateway API is supported, by the names of its conformance suite."""
    import json

    from translators.gateway_api.features import SUPPORTED_FEATURES

    match output:
        case "json":
            known = {feature.name: feature.meaning for feature in SUPPORTED_FEATURES}
            click.echo(json.dumps(known, indent=2))
        case "markdown":
            click.echo(_to_markdown(SUPPORTED_FEATURES))
        case _:
            width = max(len(feature.name) for feature in SUPPORTED_FEATURES)
            click.echo(f"{'FEATURE':{width}}   MEANING")
            for feature in SUPPORTED_FEATURES:
                click.echo(f"{feature.name:{width}}   {feature.meaning}")


def _to_markdown(supported: "tuple[Feature, ...]") -> str:
    rows = (f"| `{feature.name}` | {feature.meaning} |" for feature in supported)
    return "\n".join(("| feature | meaning |", "|---|---|", *rows))
