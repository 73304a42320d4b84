"""The command that puts a host with running guests under vifguard, and the file it writes."""
