"""What hosts report: port states, holders, drops, heartbeats, wiring."""
