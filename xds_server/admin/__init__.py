"""HTTP for people and probes: health and config dumps. Private keys are never shown."""

from xds_server.admin.config_dump import config_dump
from xds_server.admin.site import AdminSite

__all__ = ["AdminSite", "config_dump"]
