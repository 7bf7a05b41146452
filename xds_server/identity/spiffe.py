"""The SPIFFE identity of a workload in a Kubernetes mesh."""

import re
from dataclasses import dataclass

_SCHEME = "spiffe://"
# SPIFFE-ID 2.1: lower-case letters, digits, dots, dashes and underscores, nothing percent-encoded.
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAMESPACE = re.compile(_LABEL)
_PART = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_SERVICE_ACCOUNT = re.compile(rf"(?=.{{1,253}}\Z){_PART}(?:\.{_PART})*")


@dataclass(frozen=True, slots=True, order=True)
class SpiffeId:
    """``spiffe://<trust domain>/ns/<namespace>/sa/<service account>``, as Istio lays it out.

    A value always has this shape: a name that Kubernetes would not accept for a namespace (RFC 1123
    label) or a service account (RFC 1123 subdomain) raises ValueError, so no part can smuggle in a
    slash, a percent sign, a query, a NUL or a second identity.
    """

    trust_domain: str
    namespace: str
    service_account: str

    def __post_init__(self) -> None:
        _require(_TRUST_DOMAIN, "trust domain", self.trust_domain)
        _require(_NAMESPACE, "namespace", self.namespace)
        _require(_SERVICE_ACCOUNT, "service account", self.service_account)

    @property
    def uri(self) -> str:
        """The identity as it stands in the URI SAN of a certificate."""
        return f"{_SCHEME}{self.trust_domain}/ns/{self.namespace}/sa/{self.service_account}"

    @classmethod
    def parse(cls, uri: str) -> "SpiffeId":
        """Read an identity from a URI SAN; the inverse of ``uri``. Raises ValueError.

        Nothing is normalised: what is not spelt exactly as ``uri`` spells it is refused.
        """
        match uri.removeprefix(_SCHEME).split("/"):
            case [trust_domain, "ns", namespace, "sa", account] if uri.startswith(_SCHEME):
                return cls(trust_domain, namespace, account)
            case _:
                raise ValueError(
                    f"{uri!r} is not of the form {_SCHEME}TRUST_DOMAIN/ns/NAME/sa/NAME"
                )

    def __str__(self) -> str:
        return self.uri


def _require(pattern: re.Pattern[str], part: str, value: str) -> None:
    if pattern.fullmatch(value) is None:
        raise ValueError(f"{value!r} is not a valid {part}")
