"""Repeatable measurements; each module prints its figures as JSON."""
