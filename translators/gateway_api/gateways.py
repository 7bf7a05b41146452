"""What is to be said about a waypoint's Gateway and its listeners (Istio's words)."""

from collections.abc import Iterator

from translators.gateway_api.binding import HBONE_PORT, hbone_listener
from translators.gateway_api.endpoints import endpoints_of
from translators.gateway_api.names import host_of, virtual_ips
from translators.gateway_api.served import find_port
from translators.ir.condition import Condition
from translators.ir.origin import Origin
from translators.ir.waypoint import Mesh
from translators.resources.core import Service
from translators.resources.gateway import Gateway
from translators.world import Reader

_FAILED = "Failed to assign to any requested addresses: "
_ONE_LISTENER = 'Expected a single listener on port 15008 with protocol "HBONE"'


def gateway_conditions(reader: Reader, mesh: Mesh, gateway: Gateway) -> tuple[Condition, ...]:
    """The conditions of a waypoint's Gateway; a listener's have ``listeners[name]`` as scope.

    As in Istio a wrong listener is refused itself, while the Gateway stays accepted.
    """
    origin = Origin(Gateway.kind, gateway.meta.namespace, gateway.meta.name)
    return (
        Condition(origin, "Accepted", True, "Accepted", "Resource accepted"),
        _programmed(reader, mesh, gateway, origin),
        *_listener_conditions(gateway, origin),
    )


def gateway_addresses(reader: Reader, mesh: Mesh, gateway: Gateway) -> tuple[tuple[str, str], ...]:
    """The addresses for a waypoint's status, as (type, value); none while it has no Service."""
    service = reader.get(Service, gateway.meta.namespace, gateway.meta.name)
    if service is None or find_port(service, HBONE_PORT) is None:
        return ()
    host = host_of(mesh, gateway.meta.namespace, gateway.meta.name)
    return (*(("IPAddress", ip) for ip in virtual_ips(service)), ("Hostname", host))


def has_valid_listener(gateway: Gateway) -> bool:
    """Whether the Gateway has exactly the one listener of a waypoint."""
    return len(gateway.listeners) == 1 and hbone_listener(gateway) is not None


def _programmed(reader: Reader, mesh: Mesh, gateway: Gateway, origin: Origin) -> Condition:
    reason, message = _obstacle(reader, mesh, gateway) or ("", "")
    if reason:
        return Condition(origin, "Programmed", False, reason, f"{_FAILED}{message}")
    host = host_of(mesh, gateway.meta.namespace, gateway.meta.name)
    message = f"Resource programmed, assigned to service(s) {host}:{HBONE_PORT}"
    return Condition(origin, "Programmed", True, "Programmed", message)


def _obstacle(reader: Reader, mesh: Mesh, gateway: Gateway) -> tuple[str, str] | None:
    """Why nobody can reach the waypoint: a reason and a message; None if one can."""
    host = host_of(mesh, gateway.meta.namespace, gateway.meta.name)
    service = reader.get(Service, gateway.meta.namespace, gateway.meta.name)
    if service is None:
        return "AddressNotUsable", f'hostname "{host}" not found'
    port = find_port(service, HBONE_PORT)
    if port is None:
        return "AddressNotUsable", f'port {HBONE_PORT} not found for hostname "{host}"'
    if not endpoints_of(reader, mesh, service, port):
        return "AddressNotAssigned", f'no instances found for hostname "{host}"'
    return None


def _listener_conditions(gateway: Gateway, origin: Origin) -> Iterator[Condition]:
    valid = has_valid_listener(gateway)
    fine = "No errors found"
    verdicts = (
        ("Accepted", valid, "Accepted" if valid else "UnsupportedProtocol"),
        ("Conflicted", False, "NoConflicts"),
        ("Programmed", valid, "Programmed" if valid else "Invalid"),
        ("ResolvedRefs", True, "ResolvedRefs"),
    )
    for index, listener in enumerate(gateway.listeners):
        at = origin.at(f"spec.listeners[{index}]")
        scope = f"listeners[{listener.name}]"
        for kind, status, reason in verdicts:
            refused = not valid and kind in ("Accepted", "Programmed")
            yield Condition(at, kind, status, reason, _ONE_LISTENER if refused else fine, scope)
