"""Certificates of servers, and that of our own listener as time goes by."""

from datetime import datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from tests.support.authorities import NOW
from xds_server.identity.authority import ROOT_LIFETIME, create_authority, general_name
from xds_server.identity.server_certificate import RotatingServerCertificate

HOSTS = ("waypost.mesh.svc", "127.0.0.1", "::1")
TTL = timedelta(hours=1)


def test_a_server_is_its_hosts_and_nobody_in_the_mesh() -> None:
    authority = create_authority(NOW)
    made = authority.issue_server((*HOSTS, HOSTS[0]), NOW)
    roots = Store(x509.load_pem_x509_certificates(authority.trust_bundle()))
    leaf, *above = x509.load_pem_x509_certificates(made.chain)

    for subject in (x509.DNSName(HOSTS[0]), x509.IPAddress(ip_address(HOSTS[1]))):
        verifier = PolicyBuilder().store(roots).time(NOW).build_server_verifier(subject)
        verifier.verify(leaf, above)
    with pytest.raises(VerificationError):
        PolicyBuilder().store(roots).time(NOW).build_client_verifier().verify(leaf, above)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [general_name(host) for host in HOSTS]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert made.key.decode() not in repr(made)


@pytest.mark.parametrize(
    "host",
    ["", "*", "*.example", "a b", "a/b", "spiffe://a/b", "A.example", "-a", "a" * 64, "a..b"],
)
def test_what_is_no_host_is_in_no_certificate(host: str) -> None:
    with pytest.raises(ValueError, match="neither a DNS name nor an IP address"):
        create_authority(NOW).issue_server([host], NOW)


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.mark.parametrize(
    ("passes", "is_renewed"),
    [
        (TTL * 0.4, False),
        (TTL * 0.6, True),
        (-timedelta(hours=2), True),  # the clock was set back: to clients it is not valid yet
    ],
)
def test_it_is_renewed_when_half_of_its_life_is_over(passes: timedelta, is_renewed: bool) -> None:
    time, authority = Time(), create_authority(NOW - timedelta(days=1))
    certificate = RotatingServerCertificate(authority, HOSTS, time, asks_clients=False, ttl=TTL)
    first = certificate.current
    time.now = NOW + passes
    certificate.renew_if_due()
    assert (certificate.current != first) == is_renewed


def test_what_can_not_be_renewed_is_kept_and_tried_again() -> None:
    time, authority = Time(), create_authority(NOW)
    certificate = RotatingServerCertificate(authority, HOSTS, time, asks_clients=True, ttl=TTL)
    first = certificate.current
    time.now = NOW + ROOT_LIFETIME + TTL
    certificate.renew_if_due()
    assert certificate.current == first
    time.now = NOW + TTL  # the clock is put right
    certificate.renew_if_due()
    assert certificate.current != first
