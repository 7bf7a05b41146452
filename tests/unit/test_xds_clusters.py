"""Clusters, endpoints and secrets."""

from dataclasses import replace
from typing import Any

import pytest

from translators.ir import Node, Origin
from translators.ir.cluster import (
    Discovery,
    InternalCluster,
    OriginateCluster,
    PassthroughCluster,
    ServiceCluster,
    UpstreamProtocol,
)
from translators.ir.endpoint import Endpoint, EndpointSet, Health, Locality
from translators.ir.secret import Certificate, TrustBundle
from translators.xds import render, resource

SERVICE = ServiceCluster("inbound-vip|80|http|a.shop", "a.shop", 80, UpstreamProtocol.HTTP1)
OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def rendered(node: Node) -> dict[str, Any]:
    return render(node).to_dict()


def test_a_service_finds_its_endpoints_by_its_own_name():
    cluster = rendered(SERVICE)
    assert cluster["type"] == "EDS"
    assert cluster["edsClusterConfig"]["serviceName"] == SERVICE.name
    assert cluster["altStatName"] == "inbound-vip_80_http_a_shop"


def test_endpoint_metadata_is_handed_to_the_tunnel():
    passed = rendered(SERVICE)["transportSocket"]["typedConfig"]["passthroughMetadata"]
    assert [each["name"] for each in passed] == [
        "envoy.filters.listener.original_dst",
        "waypost.hbone",
    ]


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        (UpstreamProtocol.HTTP1, {"explicitHttpConfig": {"httpProtocolOptions": {}}}),
        (UpstreamProtocol.HTTP2, {"explicitHttpConfig": {"http2ProtocolOptions": {}}}),
        (
            UpstreamProtocol.AS_DOWNSTREAM,
            {
                "useDownstreamProtocolConfig": {
                    "httpProtocolOptions": {},
                    "http2ProtocolOptions": {},
                }
            },
        ),
    ],
)
def test_protocols(protocol: UpstreamProtocol, expected: dict[str, Any]):
    config = rendered(replace(SERVICE, protocol=protocol))["typedExtensionProtocolOptions"][OPTIONS]
    assert {key: value for key, value in config.items() if key != "@type"} == expected


def test_tcp_has_no_http_options():
    tcp = replace(SERVICE, protocol=UpstreamProtocol.TCP)
    assert "typedExtensionProtocolOptions" not in rendered(tcp)


@pytest.mark.parametrize(
    ("discovery", "one_endpoint"),
    [(Discovery.STRICT_DNS, None), (Discovery.LOGICAL_DNS, True), (Discovery.RACING_DNS, True)],
)
def test_dns(discovery: Discovery, one_endpoint: bool | None):
    node = replace(SERVICE, discovery=discovery, dns_endpoints=(Endpoint("a.com", 443),))
    cluster = rendered(node)
    assert cluster["clusterType"]["name"] == "envoy.clusters.dns"
    assert cluster["clusterType"]["typedConfig"].get("allAddressesInSingleEndpoint") is one_endpoint
    (endpoint,) = cluster["loadAssignment"]["endpoints"][0]["lbEndpoints"]
    address = endpoint["endpoint"]["address"]["socketAddress"]
    assert address == {"address": "a.com", "portValue": 443}


def test_original_destination_leaves_the_choice_to_the_connection():
    for node in (replace(SERVICE, discovery=Discovery.ORIGINAL_DST), PassthroughCluster()):
        cluster = rendered(node)
        assert (cluster["type"], cluster["lbPolicy"]) == ("ORIGINAL_DST", "CLUSTER_PROVIDED")


def test_a_step_inside_leads_to_its_listener():
    cluster = rendered(InternalCluster("main_internal", "main_internal"))
    (endpoint,) = cluster["loadAssignment"]["endpoints"][0]["lbEndpoints"]
    address = endpoint["endpoint"]["address"]["envoyInternalAddress"]
    assert address["serverListenerName"] == "main_internal"


def test_tunnels_are_dialled_on_the_hbone_port_with_members_of_the_mesh_only():
    cluster = rendered(OriginateCluster(("td",)))
    assert cluster["originalDstLbConfig"]["upstreamPortOverride"] == 15008
    tls = cluster["transportSocket"]["typedConfig"]
    assert tls["maxSessionKeys"] == 0
    names = tls["commonTlsContext"]["combinedValidationContext"]["defaultValidationContext"]
    assert names["matchTypedSubjectAltNames"] == [
        {"sanType": "URI", "matcher": {"prefix": "spiffe://td/"}}
    ]


def test_origins_stand_in_the_metadata_and_on_the_resource():
    origins = (Origin("Service", "shop", "a"),)
    node = replace(SERVICE, origins=origins)
    metadata = rendered(node)["metadata"]["filterMetadata"]
    assert metadata == {"waypost": {"origins": ["Service shop/a"]}}
    assert resource(node).origins == origins


# --- endpoints


def groups(*endpoints: Endpoint) -> list[dict[str, Any]]:
    return list(rendered(EndpointSet("c", endpoints)).get("endpoints", []))


def test_a_pod_of_the_mesh_is_reached_through_a_tunnel_to_its_identity():
    (group,) = groups(Endpoint("10.1.0.1", 8080, tunnel=True, identity="spiffe://td/ns/a/sa/b"))
    (endpoint,) = group["lbEndpoints"]
    assert endpoint["endpoint"]["address"]["envoyInternalAddress"] == {
        "serverListenerName": "connect_originate",
        "endpointId": "10.1.0.1:8080",
    }
    assert endpoint["metadata"]["filterMetadata"] == {
        "envoy.filters.listener.original_dst": {"local": "10.1.0.1:8080"},
        "waypost.hbone": {"san": "spiffe://td/ns/a/sa/b"},
    }


def test_an_address_outside_the_mesh_is_dialled_as_it_is():
    (group,) = groups(Endpoint("10.1.0.2", 8080))
    (endpoint,) = group["lbEndpoints"]
    address = endpoint["endpoint"]["address"]["socketAddress"]
    assert address == {"address": "10.1.0.2", "portValue": 8080}
    assert "metadata" not in endpoint


def test_ipv6_and_an_unknown_identity():
    (group,) = groups(Endpoint("fd00::1", 8080, tunnel=True))
    metadata = group["lbEndpoints"][0]["metadata"]["filterMetadata"]
    assert metadata == {"envoy.filters.listener.original_dst": {"local": "[fd00::1]:8080"}}


def test_endpoints_are_grouped_by_priority_and_locality_in_one_order():
    near, far = Locality("r", "a", "s"), Locality("r", "b")
    endpoints = [
        Endpoint("10.0.0.4", 1, locality=near, priority=1),
        Endpoint("10.0.0.3", 1, locality=far, weight=3),
        Endpoint("10.0.0.2", 1, locality=near),
        Endpoint("10.0.0.1", 1, locality=near, health=Health.DRAINING),
    ]
    assert groups(*endpoints) == groups(*reversed(endpoints))
    found = [
        (group.get("priority", 0), group["locality"]["zone"], group["loadBalancingWeight"])
        for group in groups(*endpoints)
    ]
    assert found == [(0, "a", 2), (0, "b", 3), (1, "a", 1)]
    first = groups(*endpoints)[0]
    assert [each["healthStatus"] for each in first["lbEndpoints"]] == ["DRAINING", "HEALTHY"]
    assert first["locality"]["subZone"] == "s"


def test_no_endpoints():
    assert groups() == []


# --- secrets


def test_secrets_carry_their_key_material_inline():
    secret = render(Certificate("default", b"chain", b"key"))
    assert resource(Certificate("default", b"chain", b"key")).key.name == "default"
    assert secret.tls_certificate.certificate_chain.inline_bytes == b"chain"
    assert secret.tls_certificate.private_key.inline_bytes == b"key"
    roots = render(TrustBundle("ROOTCA", b"roots"))
    assert roots.validation_context.trusted_ca.inline_bytes == b"roots"
