"""Rows: the nouns as the server keeps them, the revision of each change, and its journal.

SQLAlchemy Core; portable SQL everywhere but in `sqlite`. Rows become the frozen dataclasses
of `model` here and nowhere else.
"""
