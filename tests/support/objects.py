"""Kubernetes objects with little to say, for tests of their translation."""

from collections.abc import Iterable, Mapping
from typing import Any

from translators.gateway_api import INDEXES
from translators.resources.core import Namespace, Pod, Service, ServicePort
from translators.resources.gateway import Gateway, GatewayListener, LabelSelector
from translators.resources.httproute import (
    BackendRef,
    HttpBackend,
    HttpMatch,
    HttpPathMatch,
    HTTPRoute,
    HttpRule,
    ParentRef,
)
from translators.resources.metadata import KubernetesObject, Metadata
from translators.world import Change, Reader, World

USE = "istio.io/use-waypoint"
USE_NAMESPACE = "istio.io/use-waypoint-namespace"
WAYPOINT_FOR = "istio.io/waypoint-for"
GATEWAY_GROUP = "gateway.networking.k8s.io"


def reader_of(*objects: KubernetesObject) -> Reader:
    """A reader of a world that holds these objects."""
    return Reader(world_of(objects))


def world_of(objects: Iterable[KubernetesObject]) -> World:
    """A world that holds these objects."""
    world = World(INDEXES)
    world.apply(Change(one.key, one) for one in objects)
    return world


def meta(name: str, namespace: str = "default", **given: Any) -> Metadata:
    """Metadata in the namespace ``default``."""
    return Metadata(name=name, namespace=namespace, **given)


def namespace(name: str = "default", labels: Mapping[str, str] | None = None) -> Namespace:
    """A namespace."""
    return Namespace(Metadata(name=name, labels=labels or {}))


def gateway(
    name: str = "waypoint",
    namespace: str = "default",
    *,
    class_name: str = "istio-waypoint",
    allowed_from: str = "Same",
    selector: LabelSelector | None = None,
    labels: Mapping[str, str] | None = None,
) -> Gateway:
    """A waypoint."""
    listener = GatewayListener("mesh", 15008, "HBONE", allowed_from, selector)
    return Gateway(meta(name, namespace, labels=labels or {}), class_name, (listener,))


def service(
    name: str = "reviews",
    namespace: str = "default",
    *ports: ServicePort,
    labels: Mapping[str, str] | None = None,
    **given: Any,
) -> Service:
    """A service with one HTTP port, 9080, unless others are given."""
    given.setdefault("cluster_ips", ("10.96.0.1",))
    given.setdefault("selector", {"app": name})
    return Service(
        meta(name, namespace, labels={USE: "waypoint"} if labels is None else labels),
        ports=ports or (ServicePort(9080, "http", target_port=8080),),
        **given,
    )


def pod(name: str, namespace: str = "default", *, app: str = "reviews", **given: Any) -> Pod:
    """A pod that ambient mode captures."""
    annotations = {"ambient.istio.io/redirection": "enabled"}
    given.setdefault("meta", meta(name, namespace, labels={"app": app}, annotations=annotations))
    given.setdefault("ips", ("10.244.1.6",))
    return Pod(**given)


def parent(name: str = "reviews", namespace: str = "default", port: int | None = None) -> ParentRef:
    """A service as a parent."""
    return ParentRef("", "Service", namespace, name, port)


def backend(
    name: str = "reviews", namespace: str = "default", port: int | None = 9080, **given: Any
) -> HttpBackend:
    """A service as a backend."""
    return HttpBackend(BackendRef("", "Service", namespace, name, port), **given)


def path(value: str, kind: str = "PathPrefix", **given: Any) -> HttpMatch:
    """A match of a path."""
    return HttpMatch(HttpPathMatch(kind, value), **given)


def rule(*matches: HttpMatch, **given: Any) -> HttpRule:
    """A rule that forwards to ``reviews`` unless something else is given."""
    given.setdefault("backends", (backend(),))
    return HttpRule(matches=matches or (HttpMatch(),), **given)


def route(
    name: str,
    *rules: HttpRule,
    namespace: str = "default",
    created: str = "",
    parents: tuple[ParentRef, ...] | None = None,
) -> HTTPRoute:
    """A route of ``reviews`` unless other parents are given."""
    return HTTPRoute(
        meta(name, namespace, created=created),
        parents=(parent(),) if parents is None else parents,
        rules=rules,
    )
