"""Providers of external authorization, real ones: over gRPC (Envoy's API v3) and over HTTP.

Both refuse a request that has the header ``x-refuse`` with their own name, and note what they
were asked.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
from aiohttp import web
from envoy_data_plane.envoy.config.core.v3 import HeaderValue, HeaderValueOption
from envoy_data_plane.envoy.service.auth.v3 import (
    CheckRequest,
    CheckResponse,
    DeniedHttpResponse,
    OkHttpResponse,
)
from envoy_data_plane.envoy.type.v3 import HttpStatus, StatusCode
from envoy_data_plane.google.rpc import Status

from tests.support.manifests import Manifest, pod, service
from translators.ir.external_authorization import AuthzProvider, CheckProtocol, RequestBody

GRPC_PORT, HTTP_PORT, DEAD_PORT = 9191, 9192, 9193
_HOST = "consent.demo.svc.cluster.local"
_GRPC = AuthzProvider("grpc", _HOST, GRPC_PORT, CheckProtocol.GRPC, timeout_ms=5000)
_DEAD = replace(_GRPC, name="dead", port=DEAD_PORT, timeout_ms=1000, status_on_error=503)

PROVIDERS = (
    _GRPC,
    AuthzProvider(
        "http",
        _HOST,
        HTTP_PORT,
        CheckProtocol.HTTP,
        path_prefix="/check",
        timeout_ms=5000,
        request_headers=("x-refuse", "x-waypost-*"),
        added_headers=(("x-added", "100%"),),
        headers_upstream_on_allow=("x-user",),
        headers_downstream_on_deny=("location",),
    ),
    replace(_GRPC, name="outside", host="consent.example.com", namespace="demo"),
    replace(_GRPC, name="reader", body=RequestBody(max_bytes=1000, partial=True)),
    _DEAD,
    replace(_DEAD, name="dead-open", fail_open=True),
    replace(_DEAD, name="lost", host="missing.demo.svc.cluster.local"),
)
"""``outside`` is the host of a ServiceEntry, ``dead`` a port where nobody listens, ``lost`` a
service that does not exist.
"""

_PERMISSION_DENIED = 7


def consent_manifests(ip: str) -> tuple[Manifest, Manifest]:
    """The service that the providers are, at a pod outside the mesh."""
    ports = [
        (f"grpc-{GRPC_PORT}", GRPC_PORT, GRPC_PORT),
        ("http", HTTP_PORT, HTTP_PORT),
        ("dead", DEAD_PORT, DEAD_PORT),
    ]
    made = service("consent", "demo", "10.97.0.1", {"app": "consent"}, ports)
    return made, pod("consent", "demo", ip, {"app": "consent"}, captured=False)


@dataclass(slots=True)
class Question:
    """What a provider was asked: the request's path and headers, and what the call itself said."""

    path: str
    headers: Mapping[str, str]
    client: str
    principal: str = ""
    body: str = ""
    claims: Mapping[str, Any] = field(default_factory=dict)


class GrpcProvider:
    """``envoy.service.auth.v3.Authorization``, as the provider ``grpc``."""

    def __init__(self, ip: str, port: int) -> None:
        self.questions: list[Question] = []
        self._address = f"{ip}:{port}"
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        self._server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(
            self._check, request_deserializer=CheckRequest.parse, response_serializer=bytes
        )
        service = "envoy.service.auth.v3.Authorization"
        generic = grpc.method_handlers_generic_handler(service, {"Check": handler})
        self._server.add_generic_rpc_handlers((generic,))
        self._server.add_insecure_port(self._address)
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def _check(self, request: CheckRequest, context: Any) -> CheckResponse:
        attributes = request.attributes
        assert attributes is not None
        assert attributes.request is not None
        assert attributes.request.http is not None
        http = attributes.request.http
        metadata = dict(context.invocation_metadata())
        known = attributes.metadata_context
        tokens = known.filter_metadata.get("envoy.filters.http.jwt_authn") if known else None
        self.questions.append(
            Question(
                path=http.path,
                headers=http.headers,
                client=metadata.get("x-waypost-client-principal", ""),
                principal=attributes.source.principal if attributes.source else "",
                body=http.body,
                claims=tokens.to_dict() if tokens else {},
            )
        )
        if http.headers.get("x-refuse") == "grpc":
            denied = DeniedHttpResponse(
                status=HttpStatus(code=StatusCode.PaymentRequired),
                body="no consent",
            )
            return CheckResponse(status=Status(code=_PERMISSION_DENIED), denied_response=denied)
        told = HeaderValueOption(header=HeaderValue(key="x-consent", value="grpc"))
        return CheckResponse(status=Status(code=0), ok_response=OkHttpResponse(headers=[told]))


class HttpProvider:
    """Answers any path: 200, or 403 with a ``location``; as the provider ``http``."""

    def __init__(self, ip: str, port: int) -> None:
        self.questions: list[Question] = []
        self._at = (ip, port)
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._check)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, *self._at).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _check(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        clients = request.headers.getall("x-waypost-client-principal", [])
        body = (await request.read()).decode()
        self.questions.append(Question(request.path_qs, headers, ",".join(clients), body=body))
        if headers.get("x-refuse") == "http":
            login = {"location": "https://login.example", "x-secret": "not for clients"}
            return web.Response(status=403, headers=login)
        told = {
            "x-user": "alice",
            "x-other": "not for servers",
            "x-forwarded-client-cert": "forged",
        }
        return web.Response(headers=told)


@dataclass(frozen=True, slots=True)
class Providers:
    """Both, at one address."""

    ip: str
    grpc: GrpcProvider
    http: HttpProvider


@asynccontextmanager
async def running_providers(ip: str) -> AsyncIterator[Providers]:
    """Both, as long as the context lasts."""
    made = Providers(ip, GrpcProvider(ip, GRPC_PORT), HttpProvider(ip, HTTP_PORT))
    await made.grpc.start()
    await made.http.start()
    yield made
    await made.grpc.stop()
    await made.http.stop()
