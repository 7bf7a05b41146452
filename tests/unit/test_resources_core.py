"""Service, Pod, EndpointSlice, GatewayClass and Gateway as they are read."""

from typing import Any, TypeVar

import pytest

from translators.resources import Parsed, parse
from translators.resources.core import ContainerPort, Pod, Service, ServicePort
from translators.resources.endpointslice import EndpointSlice, SliceEndpoint, SlicePort
from translators.resources.gateway import (
    Gateway,
    GatewayClass,
    GatewayListener,
    LabelSelector,
    SelectorTerm,
)
from translators.resources.metadata import KubernetesObject

T = TypeVar("T", bound=KubernetesObject)
GATEWAY = "gateway.networking.k8s.io/v1"


def attempt(kind: type[KubernetesObject], api_version: str = "v1", **parts: Any) -> Parsed:
    metadata = {"name": "a", "namespace": "n"} | parts.pop("metadata", {})
    return parse({"apiVersion": api_version, "kind": kind.kind, "metadata": metadata, **parts})


def read(kind: type[T], api_version: str = "v1", **parts: Any) -> T:
    parsed = attempt(kind, api_version, **parts)
    assert parsed.problems == ()
    assert isinstance(parsed.value, kind)
    return parsed.value


def test_service_ports_default_to_tcp_and_their_own_number() -> None:
    service = read(
        Service,
        spec={
            "clusterIP": "10.0.0.1",
            "ports": [
                {"port": 80},
                {"port": 81, "name": "x", "targetPort": "web", "appProtocol": "http2"},
                {"port": 82, "targetPort": 8080, "protocol": "UDP"},
            ],
        },
    )
    assert service.cluster_ips == ("10.0.0.1",)
    assert service.ports == (
        ServicePort(80, target_port=80),
        ServicePort(81, name="x", app_protocol="http2", target_port="web"),
        ServicePort(82, protocol="UDP", target_port=8080),
    )


def test_a_headless_service_has_no_addresses() -> None:
    service = read(Service, spec={"clusterIP": "None", "clusterIPs": ["None"]})
    assert service.headless
    assert service.cluster_ips == ()


def test_addresses_have_one_spelling() -> None:
    service = read(Service, spec={"clusterIPs": ["10.0.0.1", "2001:DB8:0::1"]})
    assert service.cluster_ips == ("10.0.0.1", "2001:db8::1")


@pytest.mark.parametrize(
    "address", ["10.0.0.256", "1.2.3", "01.2.3.4", "fe80::1%eth0", "host", "::g"]
)
def test_what_is_no_address_is_a_problem(address: str) -> None:
    parsed = attempt(Service, spec={"clusterIPs": [address]})
    assert parsed.value is None
    assert [problem.path for problem in parsed.problems] == ["spec.clusterIPs"]


def test_the_rest_of_a_service() -> None:
    service = read(
        Service,
        spec={
            "type": "ExternalName",
            "externalName": "example.com",
            "selector": {"app": "x"},
            "publishNotReadyAddresses": True,
            "internalTrafficPolicy": "Local",
            "trafficDistribution": "PreferSameZone",
        },
    )
    assert service.type == "ExternalName"
    assert service.external_name == "example.com"
    assert service.selector == {"app": "x"}
    assert service.publish_not_ready
    assert service.internal_traffic_policy == "Local"
    assert service.traffic_distribution == "PreferSameZone"


@pytest.mark.parametrize("port", [0, 65536, -1, "80", 80.0, True, None])
def test_a_port_is_a_number_from_1_to_65535(port: object) -> None:
    parsed = attempt(Service, spec={"ports": [{"port": port}]})
    assert parsed.value is None
    assert [problem.path for problem in parsed.problems] == ["spec.ports[0].port"]


def test_pod() -> None:
    pod = read(
        Pod,
        metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"},
        spec={
            "serviceAccountName": "sa",
            "nodeName": "node",
            "hostNetwork": True,
            "containers": [
                {"ports": [{"name": "web", "containerPort": 80}, {"containerPort": 81}]}
            ],
            "initContainers": [
                {"restartPolicy": "Always", "ports": [{"name": "side", "containerPort": 90}]},
                {"ports": [{"name": "gone", "containerPort": 91}]},
            ],
        },
        status={
            "phase": "Running",
            "podIP": "10.0.0.1",
            "podIPs": [{"ip": "10.0.0.1"}, {"ip": "2001:db8::1"}],
            "conditions": [{"type": "Ready", "status": "False"}],
        },
    )
    assert pod.ips == ("10.0.0.1", "2001:db8::1")
    assert (pod.service_account, pod.node, pod.host_network) == ("sa", "node", True)
    assert pod.ports == (ContainerPort("web", 80), ContainerPort("side", 90))
    assert (pod.phase, pod.ready, pod.terminating) == ("Running", False, True)


def test_a_pod_without_conditions_is_ready() -> None:
    assert read(Pod, status={"podIP": "10.0.0.1"}).ready
    assert read(Pod, status={"podIP": "10.0.0.1"}).ips == ("10.0.0.1",)
    assert not read(Pod, status={"conditions": [{"type": "Scheduled", "status": "True"}]}).ready
    assert read(Pod, status={"conditions": [{"type": "Ready", "status": "True"}]}).ready


def test_endpointslice() -> None:
    found = read(
        EndpointSlice,
        "discovery.k8s.io/v1",
        metadata={"labels": {"kubernetes.io/service-name": "svc"}},
        addressType="IPv4",
        ports=[{"name": "http", "port": 8080}, {"name": "any"}],
        endpoints=[
            {"addresses": ["10.0.0.1"]},
            {
                "addresses": ["10.0.0.2"],
                "conditions": {"ready": False, "serving": True, "terminating": True},
                "targetRef": {"kind": "Pod", "name": "p"},
                "nodeName": "node",
                "zone": "z",
                "hints": {"forZones": [{"name": "z"}]},
            },
            {"addresses": ["10.0.0.3"], "targetRef": {"kind": "Node", "name": "n"}},
        ],
    )
    assert found.service == "svc"
    assert found.ports == (SlicePort(8080, "http"),)
    assert found.endpoints == (
        SliceEndpoint(("10.0.0.1",)),
        SliceEndpoint(
            ("10.0.0.2",),
            ready=False,
            terminating=True,
            pod="p",
            node="node",
            zone="z",
            hint_zones=("z",),
        ),
        SliceEndpoint(("10.0.0.3",)),
    )


def test_a_slice_of_names_keeps_them() -> None:
    found = read(
        EndpointSlice,
        "discovery.k8s.io/v1",
        addressType="FQDN",
        endpoints=[{"addresses": ["example.com"]}],
    )
    assert found.endpoints == (SliceEndpoint(("example.com",)),)


def test_gateway() -> None:
    gateway = read(
        Gateway,
        GATEWAY,
        metadata={"annotations": {"gateway.istio.io/service-account": "own"}},
        spec={
            "gatewayClassName": "istio-waypoint",
            "listeners": [
                {"name": "mesh", "port": 15008, "protocol": "HBONE"},
                {
                    "name": "other",
                    "port": 15009,
                    "protocol": "HBONE",
                    "allowedRoutes": {
                        "namespaces": {
                            "from": "Selector",
                            "selector": {
                                "matchLabels": {"a": "b"},
                                "matchExpressions": [{"key": "c", "operator": "Exists"}],
                            },
                        }
                    },
                },
            ],
        },
        status={"addresses": [{"value": "10.0.0.9"}, {"type": "Hostname", "value": "wp.example"}]},
    )
    selector = LabelSelector({"a": "b"}, (SelectorTerm("c", "Exists"),))
    assert gateway.class_name == "istio-waypoint"
    assert gateway.listeners == (
        GatewayListener("mesh", 15008, "HBONE"),
        GatewayListener("other", 15009, "HBONE", "Selector", selector),
    )
    assert gateway.addresses == (("IPAddress", "10.0.0.9"), ("Hostname", "wp.example"))
    assert gateway.service_account == "own"


def test_a_gateway_runs_as_its_own_name_by_default() -> None:
    assert read(Gateway, GATEWAY, spec={"gatewayClassName": "c"}).service_account == "a"


def test_gateway_class() -> None:
    found = read(GatewayClass, GATEWAY, spec={"controllerName": "waypost.dev/controller"})
    assert found.controller == "waypost.dev/controller"
    assert found.key.namespace == ""


def test_lists_are_read_up_to_their_limit() -> None:
    listener = {"name": "mesh", "port": 15008, "protocol": "HBONE"}
    for count, readable in ((64, True), (65, False), (640, False)):
        spec = {"gatewayClassName": "c", "listeners": [listener] * count}
        parsed = attempt(Gateway, GATEWAY, spec=spec)
        assert (parsed.value is not None) == readable
        assert bool(parsed.problems) != readable
