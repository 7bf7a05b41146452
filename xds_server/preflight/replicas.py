"""What runs: the replicas of the control plane, who of them leads, and how fresh they are."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from xds_server.preflight.report import Check, Section, error, warning
from xds_server.serving.permissions import LEASE
from xds_server.sources.kubernetes.transport import Transport, TransportError
from xds_server.status.objects import Manifest, Objects, Refused

_ADMIN = 15014
_WITHIN = 10.0  # seconds
_OLD_S = 300.0  # a watch in good health is confirmed about every minute


async def check_replicas(objects: Objects, namespace: str, name: str) -> Section:
    """Raises ``TransportError``."""
    selector = f"app.kubernetes.io/name=waypost,app.kubernetes.io/instance={name}"
    try:
        listed = await objects.get(
            f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": selector}
        )
    except Refused as refused:
        hint = "Ask somebody who may list pods there."
        return _section(warning("replicas are running", str(refused), hint))
    ready = [pod["metadata"]["name"] for pod in listed.get("items") or () if _is_ready(pod)]
    if not ready:
        hint = f"See kubectl describe deployment/{name} and its pods in namespace {namespace}."
        return _section(error("replicas are running", "no pod is ready", hint))
    found = [Check(f"{len(ready)} of {len(listed['items'])} replicas are ready")]
    found.append(await _check_leader(objects, namespace))
    for pod in ready:
        found += await _check_pod(objects.transport, namespace, pod)
    return _section(*found)


def _section(*checks: Check) -> Section:
    return Section("control-plane", checks)


def _is_ready(pod: Manifest) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


async def _check_leader(objects: Objects, namespace: str) -> Check:
    description = "a replica leads, and writes status"
    hint = "See the logs of the replicas for 'lease', and the page /problems."
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{LEASE}"
    try:
        spec = (await objects.get(path)).get("spec") or {}
    except Refused as refused:
        if refused.code == 404:
            return warning(description, f"there is no Lease {namespace}/{LEASE}", hint)
        return warning(description, str(refused), "Ask somebody who may read it.")
    holder, age = spec.get("holderIdentity") or "", _age(spec.get("renewTime"))
    if not holder or age is None or age > float(spec.get("leaseDurationSeconds") or 0):
        told = "never" if age is None else f"{age:.0f} s ago"
        return error(description, f"the lease of {holder or 'nobody'} was renewed {told}", hint)
    return Check(f"{description} ({holder.partition('_')[0]})")


def _age(moment: Any) -> float | None:
    try:
        then = datetime.fromisoformat(str(moment).replace("Z", "+00:00"))
    except ValueError:
        return None
    return (datetime.now(UTC) - then).total_seconds() if then.tzinfo else None


async def _check_pod(transport: Transport, namespace: str, pod: str) -> list[Check]:
    """By the API server's way to the pod's admin port, which needs no port to be forwarded."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}:{_ADMIN}/proxy/metrics"
    try:
        async with transport.get(path, {}, _WITHIN) as response:
            body = await response.body(_WITHIN)
            reason = "" if response.status == 200 else f"the way there answers {response.status}"
    except TransportError as failure:
        reason, body = str(failure), b""
    if reason:
        hint = "You need get on pods/proxy; a NetworkPolicy may keep the API server out as well."
        return [warning(f"{pod} tells how it is", reason, hint)]
    return list(_judge_pod(pod, body.decode(errors="replace")))


def _judge_pod(pod: str, text: str) -> Iterator[Check]:
    ages: dict[str, float] = {}
    problems = 0.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "waypost_watch_age_seconds":
                ages[sample.labels["kind"]] = sample.value
            elif sample.name == "waypost_problems":
                problems = sample.value
    old = {kind: age for kind, age in ages.items() if age > _OLD_S}
    description = f"{pod} is up to date"
    if old:
        kind, age = max(old.items(), key=lambda item: item[1])
        reason = f"{len(old)} kinds are old; {kind} was last confirmed {age:.0f} s ago"
        yield error(description, reason, f"See the logs of {pod} and its page /problems.")
    else:
        oldest = max(ages.values(), default=0.0)
        yield Check(f"{description} (the oldest watch was confirmed {oldest:.0f} s ago)")
    if problems:
        hint = f"kubectl port-forward {pod} {_ADMIN}, then see localhost:{_ADMIN}/problems."
        yield warning(f"{pod} has no problems", f"it has {problems:.0f}", hint)
