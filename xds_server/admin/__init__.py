"""HTTP for people and probes: health, metrics and config dumps. Private keys are never shown."""

from xds_server.admin.config_dump import config_dump
from xds_server.admin.metrics import Metrics, Readings, Reporting
from xds_server.admin.site import AdminSite

__all__ = ["AdminSite", "Metrics", "Readings", "Reporting", "config_dump"]
