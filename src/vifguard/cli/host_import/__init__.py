"""Putting a host with running guests under vifguard: survey, declaration, rehearsal."""
