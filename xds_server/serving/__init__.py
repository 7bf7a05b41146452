"""The running server: what joins source, compiler, store, certificates, xDS and admin."""

from xds_server.serving.logs import log_to_stderr

__all__ = ["log_to_stderr"]
