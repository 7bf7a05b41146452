"""No ServiceEntry leads anybody to a proxy's own ports, where its admin interface is."""

from typing import Any

import pytest

from tests.support.objects import meta, reader_of
from translators.gateway_api import translate_service
from translators.gateway_api.entries import entry_conditions
from translators.gateway_api.served import hosts_of
from translators.ir import Mesh, WaypointName
from translators.ir.cluster import Discovery, ServiceCluster
from translators.resources.core import ServicePort
from translators.resources.serviceentry import ServiceEntry
from translators.resources.workloadentry import Workload

MESH, WAYPOINT = Mesh(), WaypointName("default", "waypoint")
ADMIN = ServicePort(15000, "http", app_protocol="http", target_port=15000)
BEHIND = ServicePort(80, "http", app_protocol="http", target_port=15000)


def entry(port: ServicePort, **given: Any) -> ServiceEntry:
    return ServiceEntry(meta("e"), **{"hosts": ("a.example",), "ports": (port,)} | given)


def resolved(resolution: str, port: ServicePort, host: str = "a.example") -> ServiceEntry:
    return entry(port, hosts=(host,), resolution=resolution)


@pytest.mark.parametrize(
    "subject",
    [
        resolved("DNS", ADMIN),
        resolved("DNS", BEHIND),
        resolved("DNS_ROUND_ROBIN", BEHIND, "localhost"),
        entry(
            ServicePort(80, "http", app_protocol="http", target_port=80),
            resolution="DNS",
            endpoints=(Workload("b.example", {"http": 15000}),),
        ),
    ],
)
def test_nothing_is_dialled_at_the_admin_port(subject: ServiceEntry):
    """A name may be one of the loopback address, for all anybody knows."""
    reader = reader_of(subject)
    config = translate_service(reader, MESH, WAYPOINT, subject)
    assert config.clusters
    for cluster in config.clusters:
        assert isinstance(cluster, ServiceCluster)
        assert (cluster.discovery, cluster.dns_endpoints) == (Discovery.EDS, ())
    assert "NoEndpoints" in [one.reason for one in entry_conditions(reader, MESH, subject)]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "0.0.0.0", "::ffff:7f00:1"])
def test_the_proxy_itself_is_no_address_of_an_entry(address: str):
    subject = entry(ServicePort(80, "http"), addresses=(address, "10.1.1.1"))
    reader = reader_of(subject)
    (host,) = hosts_of(reader, MESH, subject)
    assert host.addresses == ("10.1.1.1",)
    (said,) = [one for one in entry_conditions(reader, MESH, subject) if not one.status]
    assert (said.reason, said.origin.path) == ("InvalidAddress", "spec.addresses[0]")


def test_other_addresses_of_a_small_range_are_served():
    subject = entry(ServicePort(80, "http"), addresses=("127.0.0.0/30",))
    (host,) = hosts_of(reader_of(subject), MESH, subject)
    assert host.addresses == ("127.0.0.0", "127.0.0.2", "127.0.0.3")
