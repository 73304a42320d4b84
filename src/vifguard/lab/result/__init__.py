"""Findings, checks and the tables of results."""
