"""Bridges of the operator's, and the watchers and reports of the host's wiring."""
