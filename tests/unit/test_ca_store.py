import itertools
import multiprocessing
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.support.authorities import NOW, CaSpec, make_ca, write_cacerts
from xds_server.identity import authority_store
from xds_server.identity.authority import ROOT_LIFETIME, AuthorityError
from xds_server.identity.authority_store import open_authority
from xds_server.identity.spiffe import SpiffeId

OPENSSL = shutil.which("openssl") or ""
CLIENT = SpiffeId("cluster.local", "demo", "client")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def contents(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def bundle_of(directory: Path) -> bytes:
    return open_authority(directory, NOW).trust_bundle()


def test_first_start_makes_files_that_only_the_owner_can_read(tmp_path: Path) -> None:
    directory = tmp_path / "var" / "ca"
    previous = os.umask(0)
    try:
        open_authority(directory, NOW)
    finally:
        os.umask(previous)
    assert set(contents(directory)) == {"ca-cert.pem", "ca-key.pem", "root-cert.pem"}
    assert mode_of(directory) == 0o700
    assert mode_of(directory / "ca-key.pem") == 0o600
    assert mode_of(directory / "root-cert.pem") == 0o644


def test_an_existing_empty_directory_is_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    (tmp_path / "lost+found").mkdir()
    open_authority(tmp_path, NOW)
    assert mode_of(tmp_path) == 0o700


def test_a_restart_keeps_the_root_and_touches_nothing(tmp_path: Path) -> None:
    first = open_authority(tmp_path, NOW)
    files = contents(tmp_path)
    second = open_authority(tmp_path, NOW + timedelta(days=300))
    assert second.roots == first.roots
    assert second.key.public_key() == first.key.public_key()
    assert contents(tmp_path) == files


def test_many_threads_at_first_start_get_one_authority(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        bundles = set(pool.map(bundle_of, [tmp_path / "ca"] * 64))
    assert bundles == {(tmp_path / "ca" / "root-cert.pem").read_bytes()}


def test_many_processes_at_first_start_get_one_authority(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, multiprocessing.get_context("spawn")) as pool:
        bundles = set(pool.map(bundle_of, [tmp_path / "ca"] * 8))
    assert bundles == {(tmp_path / "ca" / "root-cert.pem").read_bytes()}


class Crashed(BaseException):
    pass


def crash_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Crash instead of the given call, counted from 0, of those that change the disk."""
    remaining = itertools.count(step, -1)

    def crashing(original: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            if next(remaining) <= 0:
                raise Crashed
            return original(*args, **kwargs)

        return call

    for module, name in [
        (authority_store, "create_durably"),
        (authority_store, "sync_directory"),
        (os, "fsync"),
        (Path, "rename"),
        (Path, "replace"),
        (Path, "rmdir"),
        (Path, "chmod"),
    ]:
        monkeypatch.setattr(module, name, crashing(getattr(module, name)))


def test_a_crash_at_any_moment_of_the_first_start_leaves_nothing_broken(tmp_path: Path) -> None:
    step, crashed = 0, True
    while crashed:
        directory = tmp_path / str(step)
        with pytest.MonkeyPatch.context() as patch:
            crash_at(patch, step)
            try:
                open_authority(directory, NOW)
                crashed = False
            except Crashed:
                pass
        authority = open_authority(directory, NOW)
        assert open_authority(directory, NOW).roots == authority.roots
        assert set(contents(directory)) == {"ca-cert.pem", "ca-key.pem", "root-cert.pem"}
        step += 1
    assert step > 10


def test_a_move_that_was_cut_short_does_not_overwrite_a_ca_put_there_meanwhile(
    tmp_path: Path,
) -> None:
    open_authority(tmp_path / "made", NOW)
    root = make_ca(CaSpec())
    directory = write_cacerts(tmp_path / "ca", root, root.pem)
    shutil.copytree(tmp_path / "made", directory / ".committed")
    with pytest.raises(AuthorityError, match="remove one"):
        open_authority(directory, NOW)
    assert (directory / "ca-key.pem").read_bytes() == root.key_pem


def test_ones_own_root(tmp_path: Path) -> None:
    root = make_ca(CaSpec())
    directory = write_cacerts(tmp_path / "ca", root, root.pem)
    authority = open_authority(directory, NOW)
    assert authority.trust_bundle() == root.pem
    assert authority.issue(CLIENT, NOW).chain.count(b"BEGIN CERTIFICATE") == 1


def test_ones_own_intermediate_in_the_layout_of_istio(tmp_path: Path) -> None:
    root, other = make_ca(CaSpec()), make_ca(CaSpec("next root"))
    issuer = make_ca(CaSpec("issuer"), root)
    directory = write_cacerts(
        tmp_path / "ca", issuer, root.pem + other.pem + root.pem, issuer.pem + root.pem
    )
    authority = open_authority(directory, NOW)
    assert authority.trust_bundle() == root.pem + other.pem
    assert authority.issue(CLIENT, NOW).chain.endswith(issuer.pem)


@pytest.mark.skipif(not OPENSSL, reason="no openssl here")
@pytest.mark.parametrize("purpose", ["sslserver", "sslclient"])
def test_openssl_accepts_a_leaf_by_its_strictest_rules(tmp_path: Path, purpose: str) -> None:
    svid = open_authority(tmp_path, NOW).issue(CLIENT, NOW)
    (tmp_path / "leaf.pem").write_bytes(svid.chain)
    at = str(int(NOW.timestamp()))
    subprocess.run(
        [
            *(OPENSSL, "verify", "-x509_strict", "-purpose", purpose, "-attime", at),
            *("-CAfile", "root-cert.pem", "leaf.pem"),
        ],
        cwd=tmp_path,
        check=True,
    )


def test_the_mount_of_a_secret_is_accepted(tmp_path: Path) -> None:
    root = make_ca(CaSpec())
    write_cacerts(tmp_path / "..data", root, root.pem)
    mount = tmp_path / "mount"
    mount.mkdir()
    for name in ("ca-cert.pem", "ca-key.pem", "root-cert.pem"):
        (mount / name).symlink_to(Path("..", "..data", name))
    mount.chmod(0o1777)
    assert open_authority(mount, NOW).trust_bundle() == root.pem


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o622, 0o660, 0o777])
def test_a_key_that_others_can_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    open_authority(tmp_path, NOW)
    (tmp_path / "ca-key.pem").chmod(mode)
    with pytest.raises(AuthorityError, match=rf"ca-key\.pem has mode {mode:04o}"):
        open_authority(tmp_path, NOW)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize(("owner", "accepted"), [(0, True), (12345, False)])
def test_a_group_may_read_the_key_only_if_it_is_of_root(
    tmp_path: Path, owner: int, accepted: bool
) -> None:
    open_authority(tmp_path, NOW)
    os.chown(tmp_path / "ca-key.pem", owner, 12345)
    (tmp_path / "ca-key.pem").chmod(0o440)
    if accepted:
        open_authority(tmp_path, NOW)
    else:
        with pytest.raises(AuthorityError, match="0440"):
            open_authority(tmp_path, NOW)


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_directory_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    open_authority(tmp_path, NOW)
    tmp_path.chmod(mode)
    with pytest.raises(AuthorityError, match=f"directory has mode {mode:04o}"):
        open_authority(tmp_path, NOW)


@pytest.mark.parametrize("name", ["ca-cert.pem", "ca-key.pem", "root-cert.pem"])
def test_a_missing_file_is_named_and_never_made_anew(tmp_path: Path, name: str) -> None:
    open_authority(tmp_path, NOW)
    (tmp_path / name).unlink()
    left = contents(tmp_path)
    with pytest.raises(AuthorityError, match=f"{name} is missing"):
        open_authority(tmp_path, NOW)
    assert contents(tmp_path) == left


@pytest.mark.parametrize("name", ["ca-cert.pem", "ca-key.pem", "root-cert.pem"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: b"\0" * len(content),
        lambda content: content * 5000,
        lambda content: content.replace(b"A", b"B"),
    ],
    ids=["empty", "cut", "zeros", "huge", "flipped"],
)
def test_damaged_files_are_refused_and_left_alone(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    open_authority(tmp_path, NOW)
    (tmp_path / name).write_bytes(damage((tmp_path / name).read_bytes()))
    left = contents(tmp_path)
    with pytest.raises(AuthorityError, match="CA in"):
        open_authority(tmp_path, NOW)
    assert contents(tmp_path) == left


def test_the_key_of_another_ca_is_refused(tmp_path: Path) -> None:
    open_authority(tmp_path / "a", NOW)
    open_authority(tmp_path / "b", NOW)
    shutil.copy(tmp_path / "a" / "ca-key.pem", tmp_path / "b" / "ca-key.pem")
    with pytest.raises(AuthorityError, match="does not belong to the private key"):
        open_authority(tmp_path / "b", NOW)


@pytest.mark.parametrize(
    ("key", "encryption", "words"),
    [
        (ed25519.Ed25519PrivateKey.generate(), NoEncryption(), "not an EC P-256"),
        (rsa.generate_private_key(65537, 1024), NoEncryption(), "2048"),
        (make_ca(CaSpec()).key, BestAvailableEncryption(b"x"), "unencrypted"),
    ],
    ids=["ed25519", "rsa 1024", "encrypted"],
)
def test_keys_that_can_not_be_used(tmp_path: Path, key, encryption, words: str) -> None:  # type: ignore[no-untyped-def]
    open_authority(tmp_path, NOW)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    (tmp_path / "ca-key.pem").write_bytes(pem)
    with pytest.raises(AuthorityError, match=words) as caught:
        open_authority(tmp_path, NOW)
    assert pem.splitlines()[1].decode() not in str(caught.value)


def test_an_expired_root_is_refused(tmp_path: Path) -> None:
    open_authority(tmp_path, NOW)
    with pytest.raises(AuthorityError, match="expired at 2036"):
        open_authority(tmp_path, NOW + ROOT_LIFETIME)


def test_a_file_in_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("")
    with pytest.raises(AuthorityError, match="File exists"):
        open_authority(tmp_path / "ca", NOW)
