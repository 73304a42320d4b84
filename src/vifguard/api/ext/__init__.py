"""Resources that Neutron does not have: IP groups, drops, hosts, waiting, the feed."""
