"""A host with running guests: who is on a bridge, and what policies not in force would drop."""
