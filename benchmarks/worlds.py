"""Generated worlds: N namespaces, each with a waypoint, M services, P pods a service.

As in objects that were read, a text is there once (``intern``), however many objects have it.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from sys import intern

from translators.resources.authorizationpolicy import AuthorizationPolicy, PolicyRule, TargetRef
from translators.resources.core import Namespace, Service, ServicePort
from translators.resources.core import Pod as PodObject
from translators.resources.endpointslice import EndpointSlice, SliceEndpoint, SlicePort
from translators.resources.gateway import Gateway, GatewayListener
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
from xds_server.cli.bench_manifests import pod_ip, service_ip

PORT = 8080


def add_size(options: ArgumentParser, namespaces: int) -> None:
    """Options for the size of a world, of so many namespaces unless another number is given."""
    options.add_argument("--namespaces", type=int, default=namespaces)
    options.add_argument("--services", type=int, default=25, help="in a namespace")
    options.add_argument("--pods", type=int, default=10, help="of a service")


def world(namespaces: int, services: int, pods: int, rules: int = 10) -> Iterator[KubernetesObject]:
    """Every object of a mesh in which each service has a route of ``rules`` rules and a policy."""
    for n in range(namespaces):
        yield from namespace(f"ns-{n}", n, services, pods, rules)


def namespace(
    name: str, number: int, services: int, pods: int, rules: int
) -> Iterator[KubernetesObject]:
    """A namespace with its waypoint and services."""
    yield Namespace(Metadata(name, labels={"istio.io/use-waypoint": "waypoint"}))
    listener = GatewayListener("mesh", 15008, "HBONE")
    yield Gateway(
        Metadata("waypoint", name),
        class_name="istio-waypoint",
        listeners=(listener,),
        service_account="waypoint",
    )
    for s in range(services):
        yield service(name, number, s)
        yield from slice_of(name, number, s, pods)
        yield route(name, s, rules)
        yield policy(name, s)


def service(namespace: str, number: int, s: int, port: int = 80) -> Service:
    """A service with one HTTP port."""
    http = ServicePort(port, "http", target_port=PORT)
    return Service(
        Metadata(intern(f"svc-{s}"), namespace),
        cluster_ips=(service_ip(number, s),),
        ports=(http,),
        selector={"app": intern(f"svc-{s}")},
    )


def slice_of(
    namespace: str, number: int, s: int, pods: int, first: int = 0
) -> Iterator[KubernetesObject]:
    """An EndpointSlice and the captured Pods that it points at, which come first."""
    labels, annotations = {"app": intern(f"svc-{s}")}, {"ambient.istio.io/redirection": "enabled"}
    for p in range(first, first + pods):
        meta = Metadata(intern(f"svc-{s}-{p}"), namespace, labels, annotations)
        ips = (intern(pod_ip(number, s, p)),)
        yield PodObject(meta, ips=ips, service_account=intern(f"svc-{s}"), phase="Running")
    yield endpoint_slice(namespace, number, s, pods, first)


def endpoint_slice(
    namespace: str, number: int, s: int, pods: int, first: int = 0, zone: str = ""
) -> EndpointSlice:
    """The EndpointSlice of a service alone; its first endpoint is in ``zone``."""
    endpoints = tuple(
        SliceEndpoint(
            (intern(pod_ip(number, s, p)),),
            pod=intern(f"svc-{s}-{p}"),
            zone=zone if p == first else "",
        )
        for p in range(first, first + pods)
    )
    meta = Metadata(f"svc-{s}-a", namespace, {"kubernetes.io/service-name": intern(f"svc-{s}")})
    return EndpointSlice(meta, endpoints=endpoints, ports=(SlicePort(PORT, "http"),))


def route(namespace: str, s: int, rules: int, prefix: str = "path") -> HTTPRoute:
    """A route on a service with that many rules."""
    backend = BackendRef("", "Service", namespace, intern(f"svc-{s}"), 80)
    made = tuple(
        HttpRule(
            matches=(HttpMatch(HttpPathMatch(value=f"/{prefix}-{r}")),),
            backends=(HttpBackend(backend),),
        )
        for r in range(rules)
    )
    parent = ParentRef("", "Service", namespace, intern(f"svc-{s}"), 80)
    return HTTPRoute(Metadata(intern(f"svc-{s}"), namespace), parents=(parent,), rules=made)


def policy(namespace: str, s: int, caller: str = "client") -> AuthorizationPolicy:
    """An ALLOW policy of three rules on a service."""
    rules = tuple(
        PolicyRule(
            sources=({"principals": (f"cluster.local/ns/{namespace}/sa/{caller}-{r}",)},),
            operations=({"methods": ("GET",), "paths": (f"/path-{r}*",)},),
        )
        for r in range(3)
    )
    target = TargetRef("", "Service", intern(f"svc-{s}"))
    return AuthorizationPolicy(
        Metadata(intern(f"svc-{s}"), namespace), targets=(target,), rules=rules
    )
