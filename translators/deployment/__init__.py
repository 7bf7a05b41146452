"""Gateways to the Kubernetes objects that run their Envoys: what istiod deploys for waypoints.

``objects`` and ``pod`` make the manifests, ``parameters`` reads what users want to have otherwise,
and ``overlay`` merges it in. Which Gateways are ours to deploy, ``translators.gateway_api`` says.
"""

from translators.deployment.objects import (
    CONFIG_MAPS,
    DEFAULTS_FOR_CLASS,
    KINDS,
    OWNER,
    deployed,
    gateway_class,
    owner_uid,
    roots,
)
from translators.deployment.parameters import NO_OVERLAYS, InvalidParameters, Overlays, overlays
from translators.deployment.pod import prepare
from translators.deployment.settings import DEFAULT_IMAGE, DeploymentSettings

__all__ = [
    "CONFIG_MAPS",
    "DEFAULTS_FOR_CLASS",
    "DEFAULT_IMAGE",
    "KINDS",
    "NO_OVERLAYS",
    "OWNER",
    "DeploymentSettings",
    "InvalidParameters",
    "Overlays",
    "deployed",
    "gateway_class",
    "overlays",
    "owner_uid",
    "prepare",
    "roots",
]
