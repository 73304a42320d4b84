"""The HTTP API: OpenStack Neutron v2.0 in `v2/`, our own resources in `ext/`.

A handler parses, gives a command to the store, and shows the result. The values that each
attribute accepts and the users who may set it are data (`attributes`), never a chain of ifs.
"""
