"""The vifguard command: one file a noun."""
