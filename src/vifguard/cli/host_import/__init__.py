"""Putting a host under vifguard whose guests run already: survey, declaration, rehearsal."""
