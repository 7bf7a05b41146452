"""What is to be said about an object: errors are data, never exceptions."""

from translators.ir.origin import Origin
from translators.ir.value import ordered_value


@ordered_value
class Condition:
    """One status condition of one Kubernetes object (Gateway API and Istio conventions).

    ``origin`` names the object and, in its path, the field that is meant. ``scope`` tells which
    part of the status the condition belongs to: empty for the object itself,
    ``parentRefs[0]`` for a route's parent, ``listeners[mesh]`` for a Gateway's listener.
    """

    origin: Origin
    type: str
    status: bool
    reason: str
    message: str
    scope: str = ""
