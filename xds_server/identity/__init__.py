"""Who is calling, which waypoint it may be, and the authority that issues SVIDs."""
