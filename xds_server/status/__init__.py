"""Telling users what became of their objects: conditions, written to ``status`` in a cluster.

``election`` decides, without any I/O, which replica may write, and ``leader`` asks the API server
about it. ``merge`` puts what we say into what is there, ``backlog`` says when what is written
and ``trouble`` when nothing is, ``objects`` reads and writes, and ``writer`` runs it.
"""

from xds_server.status.election import Terms
from xds_server.status.leader import Leader
from xds_server.status.objects import Objects
from xds_server.status.writer import WRITTEN, StatusWriter

__all__ = ["WRITTEN", "Leader", "Objects", "StatusWriter", "Terms"]
