"""What a host is told: intents, its subscriptions, address sets and membership."""
