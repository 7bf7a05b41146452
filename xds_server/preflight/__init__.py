"""``waypost check``: whether a cluster and what runs there are fit, and what to do if not.

Each module asks about one thing and gives one ``Section``; ``examination`` asks them all.
"""

from xds_server.preflight.examination import Asked, examine
from xds_server.preflight.report import Check, Outcome, Section

__all__ = ["Asked", "Check", "Outcome", "Section", "examine"]
