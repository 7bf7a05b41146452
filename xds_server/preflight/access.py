"""What the control plane must be permitted, asked one by one."""

import asyncio
from typing import Any

from xds_server.preflight.report import Check, Section, error
from xds_server.serving.permissions import Permission, permissions
from xds_server.status.objects import Manifest, Objects

_API = "authorization.k8s.io/v1"
_AT_ONCE = 8


async def check_access(objects: Objects, namespace: str, account: str) -> Section:
    """By access reviews: of ``account`` (``namespace/name``), or of ourselves if that is empty.

    Raises ``Refused`` if we may not ask that, and ``TransportError``.
    """
    turns = asyncio.Semaphore(_AT_ONCE)

    async def ask(permission: Permission) -> Check | None:
        async with turns:
            answer = await objects.create(*_review(permission, namespace, account))
        if answer.get("status", {}).get("allowed"):
            return None
        reason = str(answer.get("status", {}).get("reason") or "no role permits it")
        return error(f"may {permission}", reason, _HINT)

    wanted = permissions()
    refused = [each for each in await asyncio.gather(*map(ask, wanted)) if each is not None]
    who = f"service account {account}" if account else "whoever asks"
    summary = f"{who} has {len(wanted) - len(refused)} of {len(wanted)} permissions"
    return Section("access", (Check(summary), *refused))


_HINT = "Apply the ClusterRole and Role of the chart, or of envoy/install.yaml, once more."


def _review(permission: Permission, namespace: str, account: str) -> tuple[str, Manifest]:
    resource, _, subresource = permission.resource.partition("/")
    attributes = {"verb": permission.verb, "group": permission.group, "resource": resource}
    attributes |= {"subresource": subresource} if subresource else {}
    attributes |= {} if permission.everywhere else {"namespace": namespace}
    attributes |= {"name": permission.name} if permission.name else {}
    spec: dict[str, Any] = {"resourceAttributes": attributes}
    kind = "SelfSubjectAccessReview"
    if account:
        home, _, name = account.partition("/")
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{home}"]
        spec |= {"user": f"system:serviceaccount:{home}:{name}"}
        spec |= {"groups": [*groups, "system:authenticated"]}
        kind = "SubjectAccessReview"
    manifest = {"apiVersion": _API, "kind": kind, "spec": spec}
    return f"/apis/{_API}/{kind.lower()}s", manifest
