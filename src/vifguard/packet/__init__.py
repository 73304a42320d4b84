"""Bytes to frames and back: total, never raises on junk, knows no policy. Standard library only.

`frame.parse` turns any bytes into a `Frame` of frozen views. Octets that cannot be read become an
`Unreadable` with its reason, in their place; nothing is an exception. Every view is limited to
the length that the layer around it declares: padding after an IP packet is nobody's payload.
`build` makes frames, `describe` prints one in a line.
"""
