"""The HTTP API: OpenStack Neutron v2.0 in `v2/`, our own resources in `ext/`.

A handler parses, gives a command to the store, and shows the result. What each attribute
accepts and who may set it is data (`attributes`, `who`), never a chain of ifs.
"""
