"""Which Service or ServiceEntry a host name means, and to whom."""

from collections.abc import Iterator

from translators.gateway_api.binding import Bound, is_served_by, waypoint_of
from translators.gateway_api.indexes import ENTRIES_BY_HOST
from translators.gateway_api.precedence import seniority
from translators.gateway_api.served import Served, find_port, protocol_at
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.core import Service
from translators.resources.serviceentry import ServiceEntry
from translators.world import Reader


def find_host(
    reader: Reader, mesh: Mesh, host: str, port: int, client: str, namespace: str = ""
) -> Served | None:
    """What has a host name and such a TCP port, as seen from the namespace ``client``.

    A Service comes first, which may be named in short but with its namespace; then ServiceEntries
    of the client's namespace, then others that it may see, of them the oldest. One that lacks the
    port is found if none has it. ``namespace``, if it is given, is where it must be.
    """
    service = find_service(reader, mesh, host, namespace)
    if service is not None:
        return service
    found = (
        entry
        for entry in reader.select(ENTRIES_BY_HOST, host.lower().rstrip("."))
        if namespace in ("", entry.meta.namespace) and is_visible(entry, client)
    )
    return min(
        found,
        key=lambda entry: (
            find_port(entry, port) is None,
            entry.meta.namespace != client,
            seniority(entry.meta),
        ),
        default=None,
    )


def find_entry(reader: Reader, host: str, port: int) -> ServiceEntry | None:
    """The ServiceEntry that a host name is served by, whoever may see it.

    One of that very host comes first, else of the longest wildcard that it is below; of several one
    with such a port and with a waypoint, and of these the oldest.
    """
    _, *parents = host.split(".")
    names = (host, *(".".join(("*", *parents[index:])) for index in range(len(parents))))
    for name in names:
        found = reader.select(ENTRIES_BY_HOST, name)
        if found:
            return min(
                found,
                key=lambda entry: (
                    find_port(entry, port) is None,
                    not isinstance(waypoint_of(reader, entry), Bound),
                    seniority(entry.meta),
                ),
            )
    return None


def find_service(reader: Reader, mesh: Mesh, host: str, namespace: str = "") -> Service | None:
    """The service of that host name, which may be short but must say the namespace.

    ``namespace``, if it is given, must be the same.
    """
    name, _, rest = host.lower().rstrip(".").partition(".")
    home = rest.partition(".")[0]
    suffixes = ("", ".svc", f".svc.{mesh.cluster_domain}")
    if not home or rest not in [home + suffix for suffix in suffixes]:
        return None
    return reader.get(Service, home, name) if namespace in ("", home) else None


def is_visible(entry: ServiceEntry, namespace: str) -> bool:
    """Whether a ServiceEntry is exported to a namespace (``exportTo``)."""
    own = "." in entry.export_to and namespace == entry.meta.namespace
    return not entry.export_to or own or "*" in entry.export_to or namespace in entry.export_to


def owns(
    reader: Reader, mesh: Mesh, waypoint: WaypointName, served: Served, host: str, port: int
) -> bool:
    """Whether it is this object that the waypoint serves a port of a host by.

    If several of its objects have the same, a Service comes first and then the oldest entry.
    """
    if isinstance(served, Service):
        return True
    return owner_of(reader, mesh, waypoint, host, port) in (None, served)


def owner_of(
    reader: Reader, mesh: Mesh, waypoint: WaypointName, host: str, port: int
) -> Served | None:
    """The object by which a waypoint serves a port of a host; None if there is none."""
    rivals = _rivals(reader, mesh, waypoint, host, port)
    ranked = ((not isinstance(one, Service), seniority(one.meta), one.key, one) for one in rivals)
    return min(ranked, key=lambda found: found[:3], default=(None, None))[-1]


def _rivals(
    reader: Reader, mesh: Mesh, waypoint: WaypointName, host: str, port: int
) -> Iterator[Served]:
    service = find_service(reader, mesh, host)
    # A short name is none of the names that the service is served by.
    named: list[Served] = [service] if service and host.endswith(mesh.cluster_domain) else []
    for served in (*named, *reader.select(ENTRIES_BY_HOST, host)):
        given = find_port(served, port)
        is_served = given is not None and protocol_at(served, given) is not None
        if is_served and is_served_by(reader, served, waypoint):
            yield served
