"""Who we are to the API server: a service account inside a cluster, or a kubeconfig.

Importing this module loads the client library, which takes most of a second and some 45 MB.
"""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import (
    ConfigException,
    list_kube_config_contexts,
    load_incluster_config,
    load_kube_config,
)
from kubernetes.aio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION
from yaml import YAMLError

from xds_server.sources.source import SourceError

_DEFAULT_NAMESPACE = "default"

Login = Callable[[], Awaitable[ApiClient]]
"""Makes a client with the credentials of this moment. Raises ``LoginError``."""


class LoginError(SourceError):
    """The credentials can't be used."""


def choose_login(kubeconfig: Path | None = None, context: str | None = None) -> Login:
    """The service account of this pod if there is one and no kubeconfig is asked for.

    Else the kubeconfig (by default the usual one: ``KUBECONFIG``, then ``~/.kube/config``), with
    its current context unless another is named.
    """
    is_in_cluster = "KUBERNETES_SERVICE_HOST" in os.environ
    if is_in_cluster and kubeconfig is None and context is None:
        return _log_in_as_service_account

    async def log_in() -> ApiClient:
        return await _log_in_with_kubeconfig(kubeconfig, context)

    return log_in


def namespace_of(kubeconfig: Path | None = None, context: str | None = None) -> str:
    """The namespace that a kubeconfig's context is in; ``default`` if it names none."""
    if _is_missing(kubeconfig):
        return _DEFAULT_NAMESPACE
    try:
        contexts, current = list_kube_config_contexts(  # type: ignore[no-untyped-call]
            None if kubeconfig is None else str(kubeconfig)
        )
    except (ConfigException, OSError, ValueError, YAMLError):
        return _DEFAULT_NAMESPACE
    named = (each for each in contexts if each["name"] == context)
    chosen = current if context is None else next(named, None)
    namespace = (chosen or {}).get("context", {}).get("namespace")
    return str(namespace or _DEFAULT_NAMESPACE)


async def _log_in_as_service_account() -> ApiClient:
    configuration = Configuration()
    try:
        load_incluster_config(configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        raise LoginError(f"no service account can be used: {error}") from None
    return _client(configuration)


async def _log_in_with_kubeconfig(path: Path | None, context: str | None) -> ApiClient:
    if _is_missing(path):
        where = path or KUBE_CONFIG_DEFAULT_LOCATION
        raise LoginError(f"there is no kubeconfig at {where}: give --kubeconfig or set KUBECONFIG")
    configuration = Configuration()
    try:
        await load_kube_config(  # type: ignore[no-untyped-call]
            None if path is None else str(path),
            context,
            client_configuration=configuration,
            persist_config=False,
        )
    except (ConfigException, OSError, ValueError, YAMLError) as error:
        raise LoginError(f"the kubeconfig can't be used: {error}") from None
    return _client(configuration)


def _is_missing(path: Path | None) -> bool:
    """Asked first, because the library logs of it and then complains of an empty file."""
    places = [str(path)] if path else KUBE_CONFIG_DEFAULT_LOCATION.split(os.pathsep)
    return not any(Path(place).expanduser().exists() for place in places)


def _client(configuration: Configuration) -> ApiClient:
    try:
        client = ApiClient(configuration)
    except (OSError, ValueError) as error:  # a certificate or key that is missing or broken
        raise LoginError(f"the certificates can't be used: {error}") from None
    client.user_agent = "waypost"
    return client
