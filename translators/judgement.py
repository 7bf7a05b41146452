"""What is to be said about one object by itself, whatever its kind."""

from translators import authorization, gateway_api
from translators.ir import Condition
from translators.ir.waypoint import Mesh
from translators.resources.authorizationpolicy import AuthorizationPolicy
from translators.resources.core import Service
from translators.resources.gateway import Gateway, GatewayClass
from translators.resources.grpcroute import GRPCRoute
from translators.resources.httproute import HTTPRoute
from translators.resources.metadata import ObjectKey
from translators.resources.requestauthentication import RequestAuthentication
from translators.resources.serviceentry import ServiceEntry
from translators.resources.tcproute import TCPRoute, TLSRoute
from translators.resources.workloadentry import WorkloadEntry
from translators.status import class_conditions
from translators.world import Reader

JUDGED = (
    *(Service, ServiceEntry, HTTPRoute, GRPCRoute, TCPRoute, TLSRoute, Gateway),
    *(AuthorizationPolicy, RequestAuthentication, GatewayClass, WorkloadEntry),
)
"""The kinds that anything is said about."""


def judge(mesh: Mesh, reader: Reader, key: ObjectKey) -> tuple[Condition, ...]:
    """The conditions of an object, apart from what only its waypoint can know."""
    match reader.find(key):
        case Service() | ServiceEntry() as service:
            return gateway_api.service_conditions(reader, mesh, service)
        case WorkloadEntry() as entry:
            return gateway_api.workload_conditions(reader, entry)
        case HTTPRoute() | GRPCRoute() | TCPRoute() | TLSRoute() as route:
            return gateway_api.route_conditions(reader, mesh, route)
        case Gateway() as gateway if gateway_api.is_ours(reader, mesh, gateway):
            return gateway_api.gateway_conditions(reader, mesh, gateway)
        case AuthorizationPolicy() as policy:
            return authorization.policy_conditions(reader, mesh, policy)
        case RequestAuthentication() as tokens:
            return authorization.tokens_conditions(reader, mesh, tokens)
        case GatewayClass() as gateway_class:
            return class_conditions(gateway_class)
        case _:
            return ()
