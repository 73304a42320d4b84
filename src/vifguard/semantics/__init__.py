"""The meaning of the guards: the normative text, as a total function. Standard library only.

No driver may import this room and this room imports no driver: if the referee shared code
with the player, their bugs would agree.
"""
