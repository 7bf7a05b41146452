"""Per-waypoint snapshots: what is wanted, what changed, and the last known good."""

from xds_server.snapshots.feed import Feed, Update
from xds_server.snapshots.proxy_key import ProxyKey
from xds_server.snapshots.quarantine import Rejection
from xds_server.snapshots.store import Observer, SnapshotStore

__all__ = ["Feed", "Observer", "ProxyKey", "Rejection", "SnapshotStore", "Update"]
