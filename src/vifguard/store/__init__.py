"""Rows: the nouns as the server keeps them, the revision of each change, and its journal.

SQLAlchemy Core, which only this room reaches; portable SQL everywhere but in `database`. Rows
become the frozen dataclasses of `model` here and nowhere else.
"""
