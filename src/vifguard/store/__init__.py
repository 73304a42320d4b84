"""Rows to nouns and back, in transactions that each make a revision."""
