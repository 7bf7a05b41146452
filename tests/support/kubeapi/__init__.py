"""An in-process Kubernetes API server for tests: real HTTP, real semantics, faults on demand."""

from tests.support.kubeapi.faults import (
    Answer,
    CutMidLine,
    Delay,
    Drop,
    ErrorEvent,
    Fault,
    Garbage,
    HalfOpen,
)
from tests.support.kubeapi.reviews import Identity
from tests.support.kubeapi.server import KubeApi

__all__ = [
    "Answer",
    "CutMidLine",
    "Delay",
    "Drop",
    "ErrorEvent",
    "Fault",
    "Garbage",
    "HalfOpen",
    "Identity",
    "KubeApi",
]
