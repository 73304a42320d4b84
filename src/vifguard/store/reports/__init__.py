"""Reports of hosts: port states, holders, drops, heartbeats, wiring."""
