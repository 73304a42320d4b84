"""Updates of a host: intents, its subscriptions, address sets and membership."""
