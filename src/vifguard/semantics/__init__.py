"""The meaning of the guards: the normative text, as a total function. Standard library only.

No driver may import this room and this room imports no driver: if the reference shared code
with what it judges, their bugs would agree.
"""
