"""What a label or an annotation of an object says, and of its namespace for all that is in it."""

from collections.abc import Callable

from translators.resources.core import Namespace
from translators.resources.metadata import Metadata
from translators.world import Reader


def own_or_inherited(
    reader: Reader, meta: Metadata, read: Callable[[Metadata], str | None]
) -> str | None:
    """What ``read`` finds in an object, else in its namespace; None if it finds nothing at all."""
    own = read(meta)
    if own is not None:
        return own
    namespace = reader.get(Namespace, "", meta.namespace)
    return read(namespace.meta) if namespace else None
