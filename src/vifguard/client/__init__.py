"""One HTTP client, used by the agent and the command."""
