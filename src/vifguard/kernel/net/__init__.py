"""Links, bridges, neighbours, filters, sysctls and namespaces, by netlink and /proc."""
