"""What Neutron has no word for: IP groups, drops, hosts, waiting, the feed."""
