"""Waypoints as people manage them: made, enrolled, listed and removed.

The same operations work on a cluster and on a folder of manifests; both are a ``Place``. Whose
requests a waypoint handles, and how, is for ``translators`` to say.
"""
