"""Playing frames in a world: topology, capture, referee, judge."""
