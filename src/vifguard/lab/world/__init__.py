"""A world that stands: namespaces, guests, servers and daemons."""
