"""Who a bearer token is, and what its holder may do."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from tests.support.kubeapi.rbac import Attempt, may
from tests.support.kubeapi.store import Object, Store

API_AUDIENCE = "https://kubernetes.default.svc.cluster.local"


@dataclass(frozen=True)
class Identity:
    """What a token proves."""

    username: str
    uid: str = ""
    groups: tuple[str, ...] = ("system:authenticated",)
    audiences: tuple[str, ...] = (API_AUDIENCE,)
    extra: dict[str, list[str]] = field(default_factory=dict)

    def user(self) -> dict[str, Any]:
        """The ``UserInfo``."""
        info: dict[str, Any] = {"username": self.username, "groups": list(self.groups)}
        if self.uid:
            info["uid"] = self.uid
        if self.extra:
            info["extra"] = self.extra
        return info


class Access:
    """The tokens that are valid, and what is forbidden; everything else is allowed.

    With ``enforces_roles``, service accounts may only do what roles permit.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.enforces_roles = False
        self.tokens: dict[str, Identity] = {}
        self.require_token = False
        self._forbidden: set[tuple[str, str]] = set()

    def forbid(self, verb: str, resource: str) -> None:
        """Take a permission away. ``resource`` as in ``pods`` or ``pods/status``; ``*`` is any."""
        self._forbidden.add((verb, resource))

    def permit(self, verb: str, resource: str) -> None:
        """Undo ``forbid``."""
        self._forbidden.discard((verb, resource))

    def allows(self, username: str, attempt: Attempt) -> bool:
        verb, resource = attempt.verb, attempt.resource
        if {(verb, resource), (verb, "*"), ("*", resource), ("*", "*")} & self._forbidden:
            return False
        return not self.enforces_roles or may(self._store, username, attempt)

    def identify(self, authorization: str | None) -> Identity | None:
        """Who sends a request; None if the token is not valid or missing though it is required."""
        token = (authorization or "").removeprefix("Bearer ")
        if not self.require_token:
            return self.tokens.get(token, Identity("admin", groups=("system:masters",)))
        return self.tokens.get(token)

    def issue_token(self, account: Object, audiences: list[str]) -> str:
        """A new token of a ServiceAccount."""
        token = secrets.token_urlsafe(24)
        meta = account["metadata"]
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{meta['namespace']}")
        self.tokens[token] = Identity(
            f"system:serviceaccount:{meta['namespace']}:{meta['name']}",
            meta["uid"],
            (*groups, "system:authenticated"),
            tuple(audiences or [API_AUDIENCE]),
        )
        return token

    def review_token(self, review: Object) -> Object:
        """The answer to a TokenReview."""
        spec = review.get("spec", {})
        identity = self.tokens.get(spec.get("token", ""))
        wanted = spec.get("audiences") or [API_AUDIENCE]
        audiences = [each for each in wanted if identity and each in identity.audiences]
        if identity is None or not audiences:
            return {**review, "status": {"user": {}, "error": "token is not valid"}}
        answer = {"authenticated": True, "user": identity.user(), "audiences": audiences}
        return {**review, "status": answer}

    def review_access(self, review: Object, username: str) -> Object:
        """The answer to a (Self)SubjectAccessReview; ``username`` is who asks."""
        spec = review.get("spec", {})
        wanted = spec.get("resourceAttributes", {})
        resource = wanted.get("resource", "*")
        if subresource := wanted.get("subresource"):
            resource = f"{resource}/{subresource}"
        attempt = Attempt(
            wanted.get("verb", "*"),
            wanted.get("group", ""),
            resource,
            wanted.get("namespace", ""),
            wanted.get("name", ""),
        )
        allowed = self.allows(spec.get("user", username), attempt)
        return {**review, "status": {"allowed": allowed}}
