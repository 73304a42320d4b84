"""A cloud declared in a file: read, compared with what there is, and brought into being.

`document` and `nouns` turn a file into items or into a list of everything wrong with it;
`difference` compares items with the present state; both are pure. `carry_out` alone changes
anything.
"""
