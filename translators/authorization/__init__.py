"""Istio's security API: which policies guard what, and what they mean."""

from translators.authorization.attachment import INDEXES, WaypointPolicies, waypoint_policies
from translators.authorization.guard import Guard, PortPolicy, guard
from translators.authorization.protection import pod_protection, protection
from translators.authorization.status import policy_conditions, tokens_conditions

__all__ = [
    "INDEXES",
    "Guard",
    "PortPolicy",
    "WaypointPolicies",
    "guard",
    "pod_protection",
    "policy_conditions",
    "protection",
    "tokens_conditions",
    "waypoint_policies",
]
