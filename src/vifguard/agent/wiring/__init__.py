"""The wirings of a host: their protocol, each of them, their watchers and reports."""
