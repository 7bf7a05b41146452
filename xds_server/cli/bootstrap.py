"""``waypost bootstrap``."""

import click


@click.command()
@click.option("--waypoint", required=True, metavar="NAMESPACE/NAME", help="The Gateway it serves.")
@click.option(
    "--xds",
    default="127.0.0.1:15010",
    show_default=True,
    metavar="ADDRESS",
    help="Where the control plane listens: host:port or unix:/path.",
)
@click.option(
    "--bind",
    default="0.0.0.0:15008",
    show_default=True,
    metavar="IP:PORT",
    help="Where this Envoy shall accept HBONE.",
)
@click.option(
    "--admin",
    default="127.0.0.1:15000",
    show_default=True,
    metavar="IP:PORT",
    help="Where this Envoy's own admin interface shall be.",
)
def bootstrap(waypoint: str, xds: str, bind: str, admin: str) -> None:
    """Print the bootstrap of a stock Envoy that is to be a waypoint, for ``envoy -c``."""
    from translators.ir.bootstrap import Bootstrap, node_id
    from translators.ir.waypoint import WaypointName
    from translators.xds.bootstrap import to_json

    try:
        name = WaypointName.parse(waypoint)
        _ip_of(admin)
        text = to_json(Bootstrap(name, node_id(name, _ip_of(bind)), xds, bind, admin))
    except ValueError as problem:
        raise click.UsageError(str(problem)) from None
    click.echo(text)


def _ip_of(address: str) -> str:
    """The IP address of ``ip:port``; Envoy listens on no names. Raises ValueError."""
    from ipaddress import ip_address

    from xds_server.identity.peer import split_address

    return str(ip_address(split_address(address)[0]))
