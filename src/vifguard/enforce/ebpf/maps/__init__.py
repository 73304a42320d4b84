"""The kernel's maps: ports, policies, rulesets, connections, and their layouts."""
