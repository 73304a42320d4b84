"""The processes that `up`, `serve` and `agent` are: data directory, credentials, life and end."""
