"""Drivers: policies in, a data plane's guards out. `driver` is their protocol."""
