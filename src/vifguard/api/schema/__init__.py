"""Attributes as data: how each is parsed, shown, filtered and cached."""
