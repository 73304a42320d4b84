"""Events of the guards: drops, claims, address detection; answers to rejected packets."""
