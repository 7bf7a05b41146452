"""Provenance: which Kubernetes object, and which of its fields, something came from."""

from translators.ir.value import ordered_value


@ordered_value
class Origin:
    """A field of a Kubernetes object, for example ``HTTPRoute shop/cart spec.rules[1]``.

    ``namespace`` is empty for cluster-scoped kinds, ``path`` is empty for the object as a whole.
    """

    kind: str
    namespace: str
    name: str
    path: str = ""

    def __str__(self) -> str:
        owner = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.kind} {owner} {self.path}".rstrip()

    def at(self, path: str) -> "Origin":
        """The same object, at another field."""
        return Origin(self.kind, self.namespace, self.name, path)
