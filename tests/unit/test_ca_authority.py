from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from tests.support.authorities import NOW, CaSpec, IssuedCa, make_ca
from xds_server.identity.authority import (
    BACKDATE,
    DEFAULT_TTL,
    MAX_TTL,
    MIN_TTL,
    ROOT_LIFETIME,
    Authority,
    AuthorityError,
    create_authority,
)
from xds_server.identity.spiffe import SpiffeId

CLIENT = SpiffeId("cluster.local", "demo", "client")


def leaf_of(chain: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificates(chain)[0]


def authority_of(issuer: IssuedCa, *roots: IssuedCa, above: tuple[IssuedCa, ...] = ()) -> Authority:
    return Authority(
        issuer.certificate,
        issuer.key,
        tuple(ca.certificate for ca in above),
        tuple(ca.certificate for ca in roots),
    )


def test_the_chain_verifies_under_the_strict_rules_of_the_web_pki() -> None:
    authority = create_authority(NOW)
    svid = authority.issue(CLIENT, NOW)
    roots = Store(x509.load_pem_x509_certificates(authority.trust_bundle()))
    leaf, *above = x509.load_pem_x509_certificates(svid.chain)
    verified = PolicyBuilder().store(roots).time(NOW).build_client_verifier().verify(leaf, above)
    assert verified.subjects == [x509.UniformResourceIdentifier(CLIENT.uri)]


def test_a_leaf_says_who_it_is_and_may_not_sign() -> None:
    svid = create_authority(NOW).issue(CLIENT, NOW)
    leaf = leaf_of(svid.chain)
    extensions = {type(e.value): e for e in leaf.extensions}

    names = extensions[x509.SubjectAlternativeName]
    assert list(names.value) == [x509.UniformResourceIdentifier(CLIENT.uri)]
    assert names.critical
    assert leaf.subject == x509.Name([])
    constraints = extensions[x509.BasicConstraints]
    assert (constraints.value.ca, constraints.critical) == (False, True)
    usage = extensions[x509.KeyUsage]
    assert (usage.value.digital_signature, usage.value.key_cert_sign) == (True, False)
    assert usage.critical
    assert set(extensions[x509.ExtendedKeyUsage].value) == {
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.SERVER_AUTH,
    }
    assert set(extensions) == {
        x509.SubjectAlternativeName,
        x509.BasicConstraints,
        x509.KeyUsage,
        x509.ExtendedKeyUsage,
        x509.SubjectKeyIdentifier,
        x509.AuthorityKeyIdentifier,
    }


def test_the_root_may_sign_certificates_and_do_nothing_else() -> None:
    root = create_authority(NOW).issuer
    extensions = {type(e.value): e for e in root.extensions}
    constraints, usage = extensions[x509.BasicConstraints], extensions[x509.KeyUsage]
    assert (constraints.value.ca, constraints.value.path_length) == (True, 0)
    assert (usage.value.key_cert_sign, usage.value.digital_signature) == (True, False)
    assert constraints.critical
    assert usage.critical
    assert root.not_valid_after_utc == NOW + ROOT_LIFETIME


def test_the_key_belongs_to_the_leaf_and_is_new_each_time() -> None:
    authority = create_authority(NOW)
    first, second = authority.issue(CLIENT, NOW), authority.issue(CLIENT, NOW)
    key = load_pem_private_key(first.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert key.public_key() == leaf_of(first.chain).public_key()
    assert first.key != second.key
    assert first.serial != second.serial
    assert first.serial == leaf_of(first.chain).serial_number


def test_serial_numbers_have_128_random_bits() -> None:
    authority = create_authority(NOW)
    serials = [authority.issue(CLIENT, NOW).serial for _ in range(64)]
    assert all(0 < serial < 2**128 for serial in serials)
    assert max(serials) > 2**120


@pytest.mark.parametrize("ttl", [MIN_TTL, timedelta(hours=1), MAX_TTL])
def test_life_of_a_leaf(ttl: timedelta) -> None:
    svid = create_authority(NOW - timedelta(days=1)).issue(CLIENT, NOW, ttl)
    leaf = leaf_of(svid.chain)
    assert svid.not_before == leaf.not_valid_before_utc == NOW - BACKDATE
    assert svid.not_after == leaf.not_valid_after_utc == NOW + ttl


def test_a_day_is_the_default() -> None:
    assert create_authority(NOW).issue(CLIENT, NOW).not_after == NOW + DEFAULT_TTL


@pytest.mark.parametrize(
    "ttl", [timedelta(0), -MAX_TTL, MIN_TTL - timedelta(microseconds=1), MAX_TTL + MIN_TTL]
)
def test_a_ttl_out_of_bounds_is_refused(ttl: timedelta) -> None:
    with pytest.raises(ValueError, match="TTL"):
        create_authority(NOW).issue(CLIENT, NOW, ttl)


def test_a_leaf_never_outlives_its_issuer_nor_is_older() -> None:
    spec = CaSpec(start=NOW - timedelta(seconds=5), end=NOW + timedelta(minutes=10))
    root = make_ca(spec)
    svid = authority_of(root, root).issue(CLIENT, NOW, timedelta(hours=1))
    assert (svid.not_before, svid.not_after) == (spec.start, spec.end)


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (timedelta(days=365), "'CN=corp root' expired at 2027-11-21"),
        (timedelta(days=-2), "valid from"),
    ],
)
def test_an_issuer_out_of_its_time_issues_nothing(when: timedelta, words: str) -> None:
    root = make_ca(CaSpec())
    with pytest.raises(AuthorityError, match=words):
        authority_of(root, root).issue(CLIENT, NOW + when)


def test_no_repr_shows_a_key() -> None:
    authority = create_authority(NOW)
    svid = authority.issue(CLIENT, NOW)
    secret = svid.key.splitlines()[1].decode()
    assert secret not in repr(svid)
    assert "PRIVATE" not in repr(svid)
    assert "PrivateKey" not in repr(authority)


def test_an_intermediate_sends_the_chain_but_not_the_root() -> None:
    root = make_ca(CaSpec())
    upper = make_ca(CaSpec("upper"), root)
    issuer = make_ca(CaSpec("issuer", path_length=0), upper)
    # Istio's own cert-chain.pem repeats the issuer and ends in the root.
    authority = authority_of(issuer, root, above=(issuer, upper, root))
    authority.verify(NOW)
    leaf, *above = x509.load_pem_x509_certificates(authority.issue(CLIENT, NOW).chain)
    assert above == [issuer.certificate, upper.certificate]
    assert leaf.issuer == issuer.certificate.subject


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
    ],
    ids=["rsa", "p384"],
)
def test_other_kinds_of_keys_of_ones_own(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> None:
    root = make_ca(CaSpec(), key=key)
    authority = authority_of(root, root)
    authority.verify(NOW)
    leaf_of(authority.issue(CLIENT, NOW).chain).verify_directly_issued_by(root.certificate)


def test_two_roots_are_both_handed_out_and_either_one_serves() -> None:
    old, new = make_ca(CaSpec("old")), make_ca(CaSpec("new"))
    for issuer in (old, new):
        authority = authority_of(issuer, old, new)
        authority.verify(NOW)
        roots = x509.load_pem_x509_certificates(authority.trust_bundle())
        assert roots == [old.certificate, new.certificate]


ROOT = make_ca(CaSpec())
SAME_NAME = make_ca(CaSpec())


@pytest.mark.parametrize(
    ("authority", "words"),
    [
        (Authority(ROOT.certificate, SAME_NAME.key, (), (ROOT.certificate,)), "does not belong"),
        (authority_of(ROOT, SAME_NAME), "does not verify"),
        (authority_of(make_ca(CaSpec("sub"), ROOT), SAME_NAME), "does not verify"),
        (authority_of(make_ca(CaSpec("sub", ca=False), ROOT), ROOT), "does not verify"),
        (authority_of(make_ca(CaSpec("sub", cert_sign=False), ROOT), ROOT), "does not verify"),
        (authority_of(make_ca(CaSpec("sub", end=NOW), ROOT), ROOT), "'CN=sub' expired"),
    ],
    ids=["foreign key", "root of the same name", "foreign root", "no CA", "no signing", "expired"],
)
def test_an_authority_whose_leaves_nobody_would_accept_is_found_out(
    authority: Authority, words: str
) -> None:
    with pytest.raises(AuthorityError, match=words):
        authority.verify(NOW)


def test_an_expired_root_is_found_out() -> None:
    root = make_ca(CaSpec(end=NOW - timedelta(seconds=1)))
    with pytest.raises(AuthorityError, match="does not verify"):
        authority_of(make_ca(CaSpec("sub"), root), root).verify(NOW)


def test_a_missing_intermediate_is_found_out() -> None:
    upper = make_ca(CaSpec("upper"), ROOT)
    issuer = make_ca(CaSpec("issuer"), upper)
    with pytest.raises(AuthorityError, match="does not verify"):
        authority_of(issuer, ROOT).verify(NOW)


def test_too_long_a_path_is_found_out() -> None:
    root = make_ca(CaSpec(path_length=0))
    with pytest.raises(AuthorityError, match="does not verify"):
        authority_of(make_ca(CaSpec("sub"), root), root).verify(NOW)


def test_the_built_in_root_signs_no_other_authority() -> None:
    authority = create_authority(NOW)
    sub = make_ca(CaSpec("sub"), IssuedCa(authority.issuer, authority.key))
    below = Authority(sub.certificate, sub.key, (), authority.roots)
    leaf, *above = x509.load_pem_x509_certificates(below.issue(CLIENT, NOW).chain)
    verifier = PolicyBuilder().store(Store(list(authority.roots))).time(NOW).build_client_verifier()
    with pytest.raises(VerificationError):
        verifier.verify(leaf, above)
    with pytest.raises(AuthorityError, match="does not verify"):
        below.verify(NOW)
