"""Who has which address, MAC and interface, and who may have it."""
