"""Reading EndpointSlice."""

from translators.resources.endpointslice import EndpointSlice, SliceEndpoint, SlicePort
from translators.resources.metadata import Metadata
from translators.resources.parsing import bounds
from translators.resources.parsing.address import require_ips
from translators.resources.parsing.fields import Fields


def read_endpointslice(root: Fields, meta: Metadata) -> EndpointSlice:
    """An EndpointSlice. A port without a number stands for all ports, and is left out."""
    address_type = root.text("addressType", "IPv4")
    ports = root.each("ports", bounds.PORTS, _read_port)
    return EndpointSlice(
        meta,
        address_type=address_type,
        endpoints=root.each(
            "endpoints", bounds.ENDPOINTS, lambda entry: _read_endpoint(entry, address_type)
        ),
        ports=tuple(port for port in ports if port is not None),
    )


def _read_port(fields: Fields) -> SlicePort | None:
    name, protocol = fields.text("name"), fields.text("protocol", "TCP")
    port = fields.port_or_none()
    return None if port is None else SlicePort(port, name, protocol)


def _read_endpoint(fields: Fields, address_type: str) -> SliceEndpoint:
    addresses = fields.texts("addresses", 128)
    if address_type != "FQDN":
        addresses = require_ips(fields, "addresses", addresses)
    conditions, target = fields.within("conditions"), fields.within("targetRef")
    return SliceEndpoint(
        addresses=addresses,
        ready=conditions.flag("ready", default=True),
        serving=conditions.flag("serving", default=True),
        terminating=conditions.flag("terminating"),
        pod=target.text("name") if target.text("kind") == "Pod" else "",
        node=fields.text("nodeName"),
        zone=fields.text("zone"),
        hint_zones=fields.within("hints").each("forZones", 64, lambda zone: zone.required("name")),
    )
