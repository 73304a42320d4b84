"""Bridges and who is on them: what keeps networks apart on a host."""
