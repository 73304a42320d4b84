"""A host before and after the agent: capabilities, saved state, restore, teardown."""
