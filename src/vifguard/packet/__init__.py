"""Bytes to frames and back: total, never raises on junk, knows no policy. Standard library only."""
