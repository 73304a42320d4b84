"""Worlds of namespaces, the attack catalogue as data, and the referee."""
