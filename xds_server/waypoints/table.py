"""Tables and documents of waypoints, in istioctl's columns."""

from collections.abc import Iterable, Sequence
from typing import Any

from xds_server.waypoints.place import Found

NOTHING = "No waypoints found."

_GAP = 5  # spaces


def list_table(found: Sequence[Found], *, with_namespace: bool) -> str:
    """The table of ``waypoint list``."""
    heading = ("NAME", "REVISION", "TRAFFIC TYPE", "PROGRAMMED")
    rows = (
        (one.name.name, one.revision or "default", one.traffic, one.programmed.status)
        for one in found
    )
    return _table(found, heading, rows, with_namespace=with_namespace)


def status_table(found: Sequence[Found], *, with_namespace: bool) -> str:
    """The table of ``waypoint status``."""
    heading = ("NAME", "STATUS", "TYPE", "REASON", "MESSAGE")
    rows = (
        (one.name.name, said.status, "Programmed", said.reason, said.message)
        for one in found
        for said in (one.programmed,)
    )
    return _table(found, heading, rows, with_namespace=with_namespace)


def document(found: Found) -> dict[str, Any]:
    """All that both tables say, for machines."""
    return {
        "namespace": found.name.namespace,
        "name": found.name.name,
        "revision": found.revision or "default",
        "trafficType": found.traffic,
        "programmed": {
            "status": found.programmed.status,
            "reason": found.programmed.reason,
            "message": found.programmed.message,
        },
    }


def _table(
    found: Sequence[Found],
    heading: tuple[str, ...],
    rows: Iterable[tuple[str, ...]],
    *,
    with_namespace: bool,
) -> str:
    cells = [heading, *rows]
    if with_namespace:
        first = ["NAMESPACE", *(one.name.namespace for one in found)]
        cells = [(one, *row) for one, row in zip(first, cells, strict=True)]
    widths = [max(map(len, column)) + _GAP for column in zip(*cells, strict=True)]
    return "\n".join(_line(row, widths) for row in cells)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(map(str.ljust, row, widths)).rstrip()
