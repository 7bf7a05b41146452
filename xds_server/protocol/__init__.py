"""xDS without I/O: subscriptions, state-of-the-world and delta sessions, ordering."""
