"""Authentication: HTTP Basic, Keystone, local; and the rate of each project."""
