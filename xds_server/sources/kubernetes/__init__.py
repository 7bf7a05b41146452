"""Objects of a cluster, listed and watched through its API server.

``kinds`` says what is asked for and ``backoff`` when to ask again; ``reflector`` decides, without
any I/O, what to ask next. ``decoding`` and ``replica`` turn answers into changes; ``login`` and
``transport`` reach the server; ``follower`` runs one kind, and ``source`` all of them.
"""

from xds_server.sources.kubernetes.follower import Patience
from xds_server.sources.kubernetes.source import KubernetesSource

__all__ = ["KubernetesSource", "Patience"]
