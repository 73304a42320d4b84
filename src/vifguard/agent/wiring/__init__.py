"""Bridges of the operator's, and what of the host's wiring is watched and reported."""
