"""Ownership of addresses, MACs and interfaces, and the checks before it changes."""
