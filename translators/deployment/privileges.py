"""What no overlay may give to a pod: another identity, or the node that it runs on.

Whoever may edit a Gateway and a ConfigMap is not, for that alone, somebody who may run pods as any
service account of the namespace, or as root of a node; the controller, which applies what they
write, could do both.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_IDENTITY = ("serviceAccountName", "serviceAccount")
_NODE = ("hostNetwork", "hostPID", "hostIPC")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def gained(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The fields below a pod's ``spec`` by which it gains what it must not, against before."""
    for name in (*_IDENTITY, *_NODE):
        if after.get(name) != before.get(name):
            yield name
    for volume in _tables(after.get("volumes")):
        if volume.get("hostPath") is not None:
            yield f"volumes[{volume.get('name')}].hostPath"
    for kind in _CONTAINERS:
        for container in _tables(after.get(kind)):
            yield from (f"{kind}[{container.get('name')}].{path}" for path in _powers(container))


def _powers(container: Mapping[str, Any]) -> Iterator[str]:
    """What a container may do beyond Kubernetes' pod security level "baseline"."""
    context = container.get("securityContext")
    if isinstance(context, dict):
        capabilities = context.get("capabilities")
        if context.get("privileged"):
            yield "securityContext.privileged"
        if context.get("procMount") not in (None, "Default"):
            yield "securityContext.procMount"
        if isinstance(capabilities, dict) and capabilities.get("add"):
            yield "securityContext.capabilities.add"
    for port in _tables(container.get("ports")):
        if port.get("hostPort"):
            yield "ports.hostPort"


def _tables(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
