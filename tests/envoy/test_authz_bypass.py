"""Every way that was ever found around a policy with paths, hosts, headers and methods.

Each is tried on a real Envoy in HTTP/1.1 and HTTP/2; identities are in test_authz_sources.
"""

from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

from tests.support.http1 import read_head
from tests.support.spoken import CLOSED, Spoken, line, status
from tests.support.stream import TcpStream
from tests.support.trials import Manifest, addresses, each_guarded, on_trial
from translators.ir.waypoint import Mesh
from xds_server.identity.spiffe import SpiffeId
from xds_server.trial import Trial

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESH = Mesh("mesh.example")
WEB = SpiffeId("mesh.example", "shop", "web")
REFUSED = (CLOSED, 307, 400, 403, 404)
BOTH = pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])


def to(**operation: list[str]) -> Manifest:
    return {"to": [{"operation": operation}]}


def when(key: str, **values: list[str]) -> Manifest:
    return {"when": [{"key": key, **values}]}


POLICIES: Mapping[str, tuple[str, Manifest]] = {
    "no-admin": ("DENY", to(paths=["/admin", "/admin/*"])),
    "public": ("ALLOW", to(paths=["/public", "/public/*"])),
    "no-template": ("DENY", to(paths=["/users/{*}/keys"])),
    "no-host": ("DENY", to(hosts=["secret.example"])),
    "no-hosts": ("DENY", to(hosts=["*.secret.example"])),
    "only-host": ("ALLOW", to(hosts=["open.example"])),
    "only-host-8080": ("ALLOW", to(hosts=["open.example:8080"])),
    "no-role": ("DENY", when("request.headers[x-role]", values=["admin"])),
    "no-roles": ("DENY", when("request.headers[x-role]", values=["*"])),
    "not-role": ("DENY", when("request.headers[x-role]", notValues=["guest"])),
    "role": ("ALLOW", when("request.headers[x-role]", values=["guest"])),
    "no-get": ("DENY", to(methods=["GET"])),
}
AT = addresses(POLICIES)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def trial(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Trial]:
    folder = tmp_path_factory.mktemp("bypass")
    async with on_trial(folder, each_guarded(POLICIES, AT), [WEB], MESH) as running:
        yield running


async def raw_status(trial: Trial, name: str, text: str) -> int:
    """What bytes that no client library would send are answered."""
    stream = TcpStream(*await trial.open(WEB, "10.1.2.3", AT[name]))
    async with stream:
        await stream.write(text.encode("latin-1"))
        try:
            return (await read_head(stream)).status
        except ConnectionError:
            return CLOSED


# --- paths: CVE-2021-29492, CVE-2021-39156, CVE-2019-9901, CVE-2026-73511

ADMIN = [
    *("/admin", "/admin/", "/admin/x", "/admin?x", "/admin?/public", "/admin/?"),
    *(
        "//admin",
        "///admin",
        "/./admin",
        "/x/../admin",
        "/../admin",
    ),
    *("/%61dmin", "/%61%64%6D%69%6e", "/%2e/admin", "/x/%2E%2e/admin", "/x/.%2e/admin"),
    *("/%2fadmin", "/x/..%2fadmin", "/x%2f../admin", "/x/..%5cadmin", "/%5Cadmin", "/admin%2fx"),
    *("/x\\..\\admin", "/\\admin", "/x/..\\admin", "/admin\\x", "\\admin"),
    *("/admin;x=1", "/admin;", "/admin;a;b/x", "/admin;a/x;b", "/admin;x?y", "/x;a/../admin"),
    *("/x/..;/admin", "/x/..;a=b/admin", "/.;/admin", "/..;/admin", "/;/admin", "/;x/admin"),
    *("/x/%2e%2e;/admin", "/x/%2e.;y/admin", "/%2e;/admin", "/x\\..;a\\admin", "/%61dmin;x"),
    *("/admin#x", "/admin%00", "/admin%00/x", "/x#/../admin", "/admin/.", "/admin/x/.."),
    *("/admin/x/../", "/admin//x", "/admin/../admin/x"),
]


@BOTH
@pytest.mark.parametrize("target", ADMIN)
async def test_no_spelling_of_a_path_gets_around_a_deny(
    trial: Trial, target: str, http2: bool
) -> None:
    got = await status(trial, WEB, AT["no-admin"], Spoken(target), http2=http2)
    assert got in REFUSED


@BOTH
@pytest.mark.parametrize(
    "target",
    [
        *("/", "/public/../admin", "/public/%2e%2e/admin", "/public/..;/admin", "/publi%63x"),
        *("/public/%2e%2e;/admin", "/public/..%2fadmin", "/public\\..\\admin", "/publicity"),
        *("/public/..%5cadmin", "/public/x/../../admin", "/public/..;a;b/admin", "/PUBLIC"),
        *("/admin;/public", "/admin?/public", "/public/./../admin"),
        *("/public#/../admin", "/public/\\../../admin", "/public%2f..%2fadmin", "//public/../x"),
        *("/public/;/../../admin", "/public;/../admin", "/public/.;/../admin", "/x;/public"),
    ],
)
async def test_no_spelling_of_a_path_gets_into_an_allow(
    trial: Trial, target: str, http2: bool
) -> None:
    got = await status(trial, WEB, AT["public"], Spoken(target), http2=http2)
    assert got in REFUSED


@BOTH
@pytest.mark.parametrize(
    "target",
    [
        *("/users/a/keys", "/users/%5Ba%5D/keys", "/users/[a]/keys", "/users/a*b/keys"),
        *("/users/a;x/keys;y", "/users//a/keys", "/users/x/../a/keys", "/users/a%20b/keys"),
        *('/users/"/keys', "/users/|/keys", "/users/$!'()+,:@=&~/keys"),
    ],
)
async def test_no_character_of_a_path_gets_around_a_template(
    trial: Trial, target: str, http2: bool
) -> None:
    got = await status(trial, WEB, AT["no-template"], Spoken(target), http2=http2)
    assert got in REFUSED


@BOTH
@pytest.mark.parametrize(
    ("target", "received"),
    [
        # Escaped twice: a server that unescapes twice must be told so by policies of its own.
        ("/%2561dmin", "/%2561dmin"),
        ("/x/%252e%252e/admin", "/x/%252e%252e/admin"),
        ("/%4%31dmin", "/%2541dmin"),
        # Escapes of what is no unreserved character: they don't separate anything.
        ("/admin%3bx", "/admin%3bx"),
        ("/admin%23x", "/admin%23x"),
        ("/admin%3fx", "/admin%3fx"),
        ("/admin%20", "/admin%20"),
        # Paths differ by case.
        ("/ADMIN", "/ADMIN"),
        ("/adminx", "/adminx"),
        ("/x/.../admin", "/x/.../admin"),
        ("/x/%2e%2e%3b/admin", "/x/..%3b/admin"),
    ],
)
async def test_another_path_stays_another_path(
    trial: Trial, target: str, received: str, http2: bool
) -> None:
    async with line(trial, WEB, AT["no-admin"], http2=http2) as open_line:
        answer = await open_line.ask(Spoken(target))
    assert (answer.status, answer.header("x-waypost-path")) == (200, received)


@pytest.mark.parametrize(
    "request_line",
    [
        "GET http://x/admin HTTP/1.1",
        "GET HTTP://X/admin HTTP/1.1",
        "GET https://x/%61dmin HTTP/1.1",
        "GET http://x/y/../admin HTTP/1.1",
        "GET /admin HTTP/1.0",
        "GET  /admin HTTP/1.1",
        "GET /admin\tHTTP/1.1",
        "GET /adm\0in HTTP/1.1",
        "GET /admin HTTP/1.1\r\nGET /public HTTP/1.1",
        "get /admin HTTP/1.1",
        "GET /admin",
    ],
)
async def test_no_request_line_gets_around_a_deny(trial: Trial, request_line: str) -> None:
    assert await raw_status(trial, "no-admin", f"{request_line}\r\nhost: x\r\n\r\n") in REFUSED


# --- hosts: CVE-2021-39155


@BOTH
@pytest.mark.parametrize(
    "host",
    [
        *("secret.example", "SECRET.example", "Secret.Example", "secret.example:80"),
        *("secret.example:", "secret.example.", "SECRET.EXAMPLE.:8080", "secret.example:99999"),
        *("secret.example..", "secret.example:x", "secret.example:80:80", "secret%2eexample"),
        *("x@secret.example", "secret.example@x", "secret.example,open.example", "secret.example "),
        *("secret.example/x", "secret.example#", "secret.example\\", ".secret.example"),
        *("secret.ex\u00e4mple", "secret\u3002example", "secret.example?x", "secret..example"),
    ],
)
async def test_no_spelling_of_a_host_gets_around_a_deny(
    trial: Trial, host: str, http2: bool
) -> None:
    if not host.isascii() and not http2:
        pytest.skip("HTTP/1.1 has no such characters")
    got = await status(trial, WEB, AT["no-host"], Spoken(host=host), http2=http2)
    assert got in REFUSED


@BOTH
@pytest.mark.parametrize(
    "host",
    ["a.secret.example", "A.SECRET.EXAMPLE:80", "a.b.secret.example.", "a.secret.example.:1"],
)
async def test_no_spelling_of_a_host_gets_around_a_suffix(
    trial: Trial, host: str, http2: bool
) -> None:
    got = await status(trial, WEB, AT["no-hosts"], Spoken(host=host), http2=http2)
    assert got in REFUSED


@BOTH
@pytest.mark.parametrize(
    ("name", "host", "expected"),
    [
        ("only-host", "open.example", 200),
        ("only-host", "OPEN.example.:8080", 200),
        ("only-host", "open.example.evil.org", 403),
        ("only-host", "evil.open.example", 403),
        ("only-host", "openXexample", 403),
        ("only-host-8080", "open.example:8080", 200),
        ("only-host-8080", "open.example", 403),
        ("only-host-8080", "open.example:80", 403),
        ("no-host", "open.example", 200),
    ],
)
async def test_hosts_are_compared_as_names(
    trial: Trial, name: str, host: str, expected: int, http2: bool
) -> None:
    assert await status(trial, WEB, AT[name], Spoken(host=host), http2=http2) == expected


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\nhost: secret.example\r\nhost: open.example",
        "GET / HTTP/1.1\r\nhost: open.example\r\nhost: secret.example",
        "GET http://secret.example/ HTTP/1.1\r\nhost: open.example",
        "GET http://open.example@secret.example/ HTTP/1.1\r\nhost: open.example",
        "GET / HTTP/1.1\r\nhost: open.example\r\n secret.example",
        "GET / HTTP/1.1\r\nhost : secret.example",
        "GET / HTTP/1.1\r\nhost:",
        "GET / HTTP/1.1",
        "GET / HTTP/1.0\r\nhost: secret.example",
    ],
)
async def test_two_hosts_are_none(trial: Trial, head: str) -> None:
    assert await raw_status(trial, "no-host", f"{head}\r\n\r\n") in REFUSED


async def test_host_beside_authority_counts_for_nothing(trial: Trial) -> None:
    secret, other = "secret.example", "open.example"
    beside = Spoken(host=secret, headers=(("host", other),))
    assert await status(trial, WEB, AT["no-host"], beside, http2=True) in REFUSED
    beside = Spoken(host=other, headers=(("host", secret),))
    async with line(trial, WEB, AT["no-host"], http2=True) as open_line:
        assert (await open_line.ask(beside)).status == 200


# --- headers: CVE-2026-26308

ROLE, GUEST, ADMIN_ROLE = "x-role", ("x-role", "guest"), ("x-role", "admin")


@BOTH
@pytest.mark.parametrize(
    "headers",
    [
        (ADMIN_ROLE,),
        (GUEST, ADMIN_ROLE),
        (ADMIN_ROLE, GUEST),
        (("x-role", ""), ADMIN_ROLE),
        (("X-Role", "admin"),),
        (("x-role", " admin "),),
    ],
)
async def test_another_value_of_a_header_does_not_hide_a_denied_one(
    trial: Trial, headers: tuple[tuple[str, str], ...], http2: bool
) -> None:
    stripped = tuple((name, value.strip()) if http2 else (name, value) for name, value in headers)
    request = Spoken(headers=stripped)
    for name in ("no-role", "no-roles"):
        assert await status(trial, WEB, AT[name], request, http2=http2) == 403


async def test_bytes_that_are_no_utf8_do_not_hide_a_header(trial: Trial) -> None:
    head = "GET / HTTP/1.1\r\nhost: x\r\nx-role: \xff\xfe\r\n\r\n"
    assert await raw_status(trial, "no-roles", head) in REFUSED


@BOTH
async def test_an_empty_header_is_a_header(trial: Trial, http2: bool) -> None:
    empty = Spoken(headers=(("x-role", ""),))
    assert await status(trial, WEB, AT["no-roles"], empty, http2=http2) == 403


@BOTH
@pytest.mark.parametrize(
    ("name", "headers", "expected"),
    [
        # Of several values any one will do: for ALLOW as for DENY.
        ("role", (ADMIN_ROLE, GUEST), 200),
        ("role", (ADMIN_ROLE,), 403),
        ("role", (("x-role", "admin,guest"),), 403),
        ("role", (), 403),
        # notValues: no value may be one of them.
        ("not-role", (), 403),
        ("not-role", (ADMIN_ROLE,), 403),
        ("not-role", (GUEST,), 200),
        ("not-role", (ADMIN_ROLE, GUEST), 200),
    ],
)
async def test_headers_that_come_several_times(
    trial: Trial, name: str, headers: tuple[tuple[str, str], ...], expected: int, http2: bool
) -> None:
    request = Spoken(headers=headers)
    assert await status(trial, WEB, AT[name], request, http2=http2) == expected


@BOTH
async def test_a_method_can_not_be_overridden(trial: Trial, http2: bool) -> None:
    overrides = tuple(
        (name, "POST")
        for name in ("x-http-method-override", "x-http-method", "x-method-override", "x-method")
    )
    request = Spoken(headers=overrides)
    assert await status(trial, WEB, AT["no-get"], request, http2=http2) == 403
    assert await status(trial, WEB, AT["no-get"], Spoken(method="HEAD"), http2=http2) == 200
