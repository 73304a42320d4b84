"""Reports to the server, and the run file on the agent's own host."""
