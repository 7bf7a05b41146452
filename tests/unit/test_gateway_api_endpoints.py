"""Where the requests for a service port go."""

from dataclasses import replace

import pytest

from tests.support.objects import meta, pod, reader_of, service
from translators.gateway_api.endpoints import endpoints_of
from translators.gateway_api.protocol import PortProtocol, http_upstream, protocol_of
from translators.ir import Mesh
from translators.ir.cluster import UpstreamProtocol
from translators.ir.endpoint import Endpoint, Locality
from translators.resources.core import ContainerPort, ServicePort
from translators.resources.endpointslice import EndpointSlice, SliceEndpoint, SlicePort

MESH = Mesh()
IDENTITY = "spiffe://cluster.local/ns/default/sa/default"
PORT = ServicePort(9080, "http", target_port=8080)


def found(*objects, port=PORT, **of_service):
    subject = service("reviews", "default", port, **of_service)
    return endpoints_of(reader_of(subject, *objects), MESH, subject, port)


def addresses(*objects, **given):
    return [(one.address, one.port) for one in found(*objects, **given)]


HTTP_PORT = (SlicePort(8080, "http"),)


def piece(*endpoints, name="reviews-1", family="IPv4", ports=HTTP_PORT):
    labels = {"kubernetes.io/service-name": "reviews"}
    return EndpointSlice(meta(name, labels=labels), family, endpoints, ports)


def test_captured_pod_is_tunnelled_to_and_pinned():
    (one,) = found(pod("a", service_account="robot"))
    assert one == Endpoint(
        "10.244.1.6", 8080, tunnel=True, identity="spiffe://cluster.local/ns/default/sa/robot"
    )


@pytest.mark.parametrize(
    ("annotations", "labels", "host_network", "tunnel"),
    [
        ({}, {}, False, False),
        ({"ambient.istio.io/redirection": "enabled"}, {}, False, True),
        ({"ambient.istio.io/redirection": "disabled"}, {}, False, False),
        ({}, {"networking.istio.io/tunnel": "http"}, False, True),
        ({}, {"istio.io/dataplane-mode": "ambient"}, False, False),
        ({"ambient.istio.io/redirection": "enabled"}, {}, True, False),
    ],
)
def test_who_is_tunnelled_to(annotations, labels, host_network, tunnel):
    labels = {"app": "reviews", **labels}
    subject = pod(
        "a", meta=meta("a", labels=labels, annotations=annotations), host_network=host_network
    )
    (one,) = found(subject)
    assert (one.tunnel, bool(one.identity)) == (tunnel, tunnel)


@pytest.mark.parametrize(
    ("given", "usual", "published"),
    [
        ({}, 1, 1),
        ({"ready": False}, 0, 1),
        ({"terminating": True}, 0, 1),
        ({"phase": "Running"}, 1, 1),
        ({"phase": "Failed"}, 0, 0),
        ({"phase": "Succeeded"}, 0, 0),
        ({"ips": ()}, 0, 0),
        ({"ips": ("nonsense",)}, 0, 0),
        ({"app": "other"}, 0, 0),
        ({"namespace": "other"}, 0, 0),
    ],
)
def test_pods_behind_a_selector(given, usual, published):
    assert len(found(pod("a", **given))) == usual
    assert len(found(pod("a", **given), publish_not_ready=True)) == published


def test_all_labels_of_the_selector_must_match():
    selector = {"app": "reviews", "version": "v1"}
    labels = {"app": "reviews", "version": "v2"}
    assert found(pod("a", meta=meta("a", labels=labels)), selector=selector) == ()
    assert found(pod("a"), selector={}) == ()


@pytest.mark.parametrize(
    ("target", "expected"), [(0, [9080]), (8080, [8080]), ("web", [8081]), ("gone", [])]
)
def test_target_ports_of_pods(target, expected):
    port = replace(PORT, target_port=target)
    subject = pod("a", ports=(ContainerPort("web", 8081), ContainerPort("gone", 1, "UDP")))
    assert [number for _, number in addresses(subject, port=port)] == expected


def test_slices_are_believed_before_pods():
    endpoint = SliceEndpoint(("10.244.1.7",), pod="b", zone="z1")
    one, two = pod("a"), pod("b", ips=("10.244.1.7",))
    assert found(one, two, piece(endpoint)) == (
        Endpoint("10.244.1.7", 8080, tunnel=True, identity=IDENTITY, locality=Locality(zone="z1")),
    )
    assert found(one, piece()) == ()


def test_slice_endpoints_without_their_pod_are_plain():
    endpoints = (
        SliceEndpoint(("10.0.0.1",)),
        SliceEndpoint(("10.0.0.2",), pod="gone"),
        SliceEndpoint(("10.0.0.3",), pod="a"),  # not an address of that pod
    )
    assert [one.tunnel for one in found(pod("a"), piece(*endpoints))] == [False] * 3


@pytest.mark.parametrize(
    ("endpoint", "usual", "published"),
    [
        (SliceEndpoint(("10.0.0.1",), ready=False), 0, 1),
        (SliceEndpoint(("10.0.0.1",), ready=False, serving=True, terminating=True), 1, 1),
        (SliceEndpoint(("10.0.0.1",), ready=False, serving=False, terminating=True), 0, 1),
        (SliceEndpoint(("10.0.0.1",)), 1, 1),
    ],
)
def test_slice_conditions_of_a_lonely_endpoint(endpoint, usual, published):
    assert len(found(piece(endpoint))) == usual
    assert len(found(piece(endpoint), publish_not_ready=True)) == published


def test_terminating_endpoints_get_nothing_while_another_is_ready():
    going = SliceEndpoint(("10.0.0.1",), ready=False, terminating=True)
    assert addresses(piece(going, SliceEndpoint(("10.0.0.2",)))) == [("10.0.0.2", 8080)]


def test_slice_ports_are_found_by_name():
    endpoint = SliceEndpoint(("10.0.0.1",))
    ports = (SlicePort(1, "metrics"), SlicePort(2, "http", "UDP"), SlicePort(3, "http"))
    assert addresses(piece(endpoint, ports=ports)) == [("10.0.0.1", 3)]
    assert addresses(piece(endpoint, ports=ports[:2])) == []
    assert addresses(piece(endpoint, family="FQDN")) == []


def test_a_dual_stack_pod_is_one_endpoint_of_the_service_s_family():
    both = pod("a", ips=("10.244.1.6", "FD00::6"))
    assert addresses(both) == [("10.244.1.6", 8080)]
    assert addresses(both, cluster_ips=("fd00::1",)) == [("fd00::6", 8080)]
    assert addresses(pod("a", ips=("fd00::6",))) == [("fd00::6", 8080)]
    slices = (
        piece(SliceEndpoint(("10.244.1.6",), pod="a"), name="four"),
        piece(SliceEndpoint(("fd00::6",), pod="a"), name="six", family="IPv6"),
    )
    assert addresses(both, *slices) == [("10.244.1.6", 8080)]


def test_endpoints_are_sorted_and_each_is_there_once():
    one, two = SliceEndpoint(("10.0.0.2",)), SliceEndpoint(("10.0.0.1",), zone="z")
    again = SliceEndpoint(("10.0.0.2",), pod="a")
    objects = (pod("a", ips=("10.0.0.2",)), piece(one, name="x"), piece(again, two, name="y"))
    assert addresses(*objects) == [("10.0.0.1", 8080), ("10.0.0.2", 8080)]
    assert [one.tunnel for one in found(*objects)] == [False, True]


@pytest.mark.parametrize(
    ("port", "expected"),
    [
        (ServicePort(80), PortProtocol.AUTO),
        (ServicePort(80, "http"), PortProtocol.HTTP),
        (ServicePort(80, "HTTP-web"), PortProtocol.HTTP),
        (ServicePort(80, "httpweb"), PortProtocol.AUTO),
        (ServicePort(80, "http2-x"), PortProtocol.HTTP2),
        (ServicePort(80, "grpc-web"), PortProtocol.GRPC_WEB),
        (ServicePort(80, "tcp"), PortProtocol.TCP),
        (ServicePort(80, "https"), PortProtocol.TLS),
        (ServicePort(80, "tls-web"), PortProtocol.TLS),
        (ServicePort(80, app_protocol="https"), PortProtocol.TLS),
        (ServicePort(80, app_protocol="mongo"), PortProtocol.TCP),
        (ServicePort(80, "mysql"), PortProtocol.TCP),
        (ServicePort(80, "redis-main"), PortProtocol.TCP),
        (ServicePort(80, "http", app_protocol="tcp"), PortProtocol.TCP),
        (ServicePort(80, "http", app_protocol="example.com/own"), PortProtocol.AUTO),
        (ServicePort(80, app_protocol="kubernetes.io/h2c"), PortProtocol.HTTP2),
        (ServicePort(80, app_protocol="kubernetes.io/ws"), PortProtocol.HTTP),
        (ServicePort(80, app_protocol="kubernetes.io/wss"), PortProtocol.TLS),
        (ServicePort(3306), PortProtocol.TCP),
        (ServicePort(3306, "web"), PortProtocol.TCP),
        (ServicePort(3306, "http"), PortProtocol.HTTP),
        (ServicePort(53, "dns", "UDP"), None),
        (ServicePort(80, "http", "SCTP"), None),
    ],
)
def test_protocol_selection(port, expected):
    assert protocol_of(port) is expected


def test_upstream_protocols():
    assert [http_upstream(one) for one in PortProtocol] == [
        UpstreamProtocol.HTTP1,
        UpstreamProtocol.HTTP2,
        UpstreamProtocol.HTTP2,
        UpstreamProtocol.HTTP1,
        UpstreamProtocol.HTTP1,
        UpstreamProtocol.AS_DOWNSTREAM,
    ]
