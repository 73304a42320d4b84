"""Reports to the server, and what a running agent says on its own host."""
