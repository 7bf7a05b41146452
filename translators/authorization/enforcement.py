"""Where the calls to one service port are decided, and what is decided on a given call."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from translators.authorization.attachment import BY_TARGET, WITHOUT_TARGETS, attached
from translators.authorization.evaluation import Decision, decide
from translators.authorization.guard import Guard
from translators.authorization.protection import protection
from translators.authorization.request import Call, Refusal, find_ambiguity
from translators.gateway_api.binding import Bound, NotBound, waypoint_of
from translators.gateway_api.endpoints import speaks_hbone
from translators.gateway_api.protocol import PortProtocol
from translators.gateway_api.served import Host, Served, addresses_of, hosts_of, protocol_at
from translators.ir.authorization import Authorization, closed
from translators.ir.waypoint import Mesh, WaypointName
from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.resources.core import Pod
from translators.world import Reader

UNGUARDED = Guard()


@dataclass(frozen=True, slots=True)
class Enforcement:
    """A service port, its waypoint, and the policies that the waypoint enforces there.

    ``waypoint`` is None if no waypoint decides; ``remarks`` say why, and what is enforced
    elsewhere. ``addresses`` are the service's virtual IPs.
    """

    host: str
    port: int
    protocol: PortProtocol
    addresses: tuple[str, ...]
    waypoint: WaypointName | None = None
    policies: tuple[AuthorizationPolicy, ...] = ()
    guard: Guard = UNGUARDED
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the decisions on a call: ``where`` it is made, and what came of it."""

    where: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the waypoint does with a call.

    ``refusal`` is what Envoy has against the request itself, whatever its policies say.
    """

    allowed: bool
    stages: tuple[Stage, ...]
    refusal: Refusal | None = None


def find_enforcement(
    reader: Reader, mesh: Mesh, service: Served, number: int, name: str = ""
) -> Enforcement | None:
    """What is enforced on a port of a service; None if there is no such TCP port.

    ``name`` is that of one of a ServiceEntry's hosts, or below one that is a wildcard.
    """
    ports = (port for port in service.ports if port.port == number)
    protocol = next((found for port in ports if (found := protocol_at(service, port))), None)
    if protocol is None:
        return None
    host = _host(reader, mesh, service, name)
    plain = Enforcement(name or host.name, number, protocol, addresses_of(host))
    remarks = tuple(_remarks(reader, mesh, service))
    match waypoint_of(reader, service):
        case Bound(waypoint) if plain.addresses:
            return replace(
                plain,
                waypoint=waypoint,
                policies=tuple(attached(reader, mesh, waypoint, service, BY_TARGET)),
                guard=protection(reader, mesh, waypoint, service)(number),
                remarks=remarks,
            )
        case Bound(waypoint):
            why = f"the service has no virtual IP: its clients bypass the waypoint {waypoint}"
        case NotBound(_, _, message):
            why = message
        case None:
            why = "the service asks for no waypoint (label istio.io/use-waypoint)"
    return replace(plain, remarks=(why, *remarks))


def _host(reader: Reader, mesh: Mesh, service: Served, name: str) -> Host:
    """The host of that name, else the first one."""
    hosts = hosts_of(reader, mesh, service)
    exact = [host for host in hosts if host.name == name]
    below = [host for host in hosts if name.endswith(host.name.removeprefix("*"))]
    return next(iter((*exact, *below, *hosts)), Host(name, ()))


def judge(found: Enforcement, call: Call) -> Verdict:
    """What the waypoint does with a call to such a port. A call without HTTP opens a connection."""
    stages: list[Stage] = []
    for where, authorization, on_request in _questions(found, has_head=call.http is not None):
        asked = call if on_request else replace(call, http=None)
        stages.append(Stage(where, decide(authorization, asked)))
        if not stages[-1].decision.allowed:
            return Verdict(False, tuple(stages))
    refusal = None
    if call.http is not None and found.protocol.speaks_http and _is_enforced(found.guard.http):
        refusal = find_ambiguity(call.http)
    return Verdict(refusal is None, tuple(stages), refusal)


def bypass_of(caller: str, pods: Iterable[Pod], found: Enforcement) -> str | None:
    """Why the calls of a service account (``namespace/name``) never meet the waypoint, if so."""
    own = [pod for pod in pods if f"{pod.meta.namespace}/{pod.service_account}" == caller]
    if own and not any(speaks_hbone(pod) for pod in own):
        return f"no pod of {caller} is captured by ztunnel: its calls go straight to the pods"
    if found.waypoint is not None and caller == str(found.waypoint):
        return "a waypoint's own calls are not sent through it again"
    return None


def _questions(found: Enforcement, *, has_head: bool) -> Iterator[tuple[str, Authorization, bool]]:
    """Where it is decided, by which rules, and whether they see the request."""
    guard = found.guard
    yield "on the tunnel, layered", guard.layered, False
    match found.protocol:
        case PortProtocol.AUTO:
            yield "on the tunnel", guard.connect, False
            if has_head:
                yield "on the request", guard.http, True
            else:
                yield "on the connection, which carries no HTTP", closed(guard.tcp), False
        case protocol if protocol.speaks_http:
            if has_head:
                yield "on the request", guard.http, True
        case PortProtocol.TLS if guard.tls is not None:
            yield "on the tunnel", guard.tls_connect, False
            yield "on the TLS handshake", guard.tls, False
        case _:
            yield "on the tunnel", guard.tcp, False


def _is_enforced(authorization: Authorization) -> bool:
    rules = authorization
    return bool(rules.custom or rules.deny) or rules.allow is not None


def _remarks(reader: Reader, mesh: Mesh, service: Served) -> Iterator[str]:
    homes = dict.fromkeys((mesh.root_namespace, service.meta.namespace))
    for home in homes:
        for policy in reader.select(WITHOUT_TARGETS, home):
            yield (
                f"AuthorizationPolicy {home}/{policy.meta.name} has no targetRefs: "
                "ztunnel enforces its L4 rules where the call arrives"
            )
