"""The constructors that `build` gathers: one file for each family of layers."""
