"""Other makers' hosts, stood up in namespaces and audited through the same kit as our own."""
