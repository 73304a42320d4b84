"""A cloud declared in a file: read, compared with what there is, and brought into being.

`load`, `declaration` and `schema` turn a file into items or into a list of all its faults; `diff`
compares items with the present state; both are pure. `execute` alone changes anything.
"""
