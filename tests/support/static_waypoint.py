"""Fills in ``static_waypoint.yaml``."""

from pathlib import Path
from string import Template
from typing import Any

import yaml

from xds_server.demo.ztunnel import Address, SvidFiles

_TEMPLATE = Path(__file__).with_suffix(".yaml")


def static_waypoint(
    ip: str,
    svid: SvidFiles,
    root: Path,
    *,
    http: tuple[Address, Address],
    h2c: tuple[Address, Address],
    tcp: tuple[Address, Address],
) -> Any:
    """The bootstrap of a waypoint at ``ip``; each service is (VIP, pod)."""
    files = {"CHAIN": svid.chain, "KEY": svid.key, "ROOT": str(root)}
    addresses = {
        f"{name}_{part}": str(address)
        for name, service in (("HTTP", http), ("H2C", h2c), ("TCP", tcp))
        for part, address in zip(("VIP", "POD"), service, strict=True)
    }
    text = Template(_TEMPLATE.read_text()).substitute(files, WAYPOINT_IP=ip, **addresses)
    return yaml.safe_load(text)
