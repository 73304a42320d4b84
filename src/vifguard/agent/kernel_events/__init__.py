"""Reads what the guards report: drops, claims, address detection; answers rejected packets."""
