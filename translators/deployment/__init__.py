"""Gateways to the Kubernetes objects that run their Envoys: what istiod deploys for waypoints.

``waypoints`` says which Gateways are ours to deploy, ``objects`` and ``pod`` make the manifests,
``parameters`` reads what users want to have otherwise, and ``overlay`` merges it in.
"""

from translators.deployment.objects import (
    CONFIG_MAP,
    DEFAULTS_FOR_CLASS,
    KINDS,
    OWNER,
    deployed,
    owner_uid,
    roots,
)
from translators.deployment.parameters import NO_OVERLAYS, InvalidParameters, Overlays, overlays
from translators.deployment.settings import DeploymentSettings
from translators.deployment.waypoints import deployable

__all__ = [
    "CONFIG_MAP",
    "DEFAULTS_FOR_CLASS",
    "KINDS",
    "NO_OVERLAYS",
    "OWNER",
    "DeploymentSettings",
    "InvalidParameters",
    "Overlays",
    "deployable",
    "deployed",
    "overlays",
    "owner_uid",
    "roots",
]
