"""AuthorizationPolicy (Istio security API): which policies guard what, and what they mean."""

from translators.authorization.attachment import INDEXES, attached_policies
from translators.authorization.guard import Guard, guard
from translators.authorization.status import policy_conditions

__all__ = ["INDEXES", "Guard", "attached_policies", "guard", "policy_conditions"]
