"""Bridges and their members, which keep networks apart on a host."""
