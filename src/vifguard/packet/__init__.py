"""Bytes to frames and back: total, never raises on junk, knows no policy. Standard library only.

`frame.parse` turns any bytes into a `Frame` of frozen views. What cannot be read is said where it
stands, by an `Unreadable` with its reason; nothing is an exception. Every view is limited to
what the layer around it declares: padding after an IP packet is nobody's payload. `build` makes
frames, `text` tells one in a line.
"""
