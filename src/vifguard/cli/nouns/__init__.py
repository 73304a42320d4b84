"""One file a noun: list, show, create, set, delete."""
