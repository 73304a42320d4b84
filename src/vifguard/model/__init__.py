"""The nouns: frozen values that validate themselves. Nothing here does anything.

Standard library only. Addresses are parsed once, here, at the edge: full match, canonical
form, and an error that names the offending text.
"""
