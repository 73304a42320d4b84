"""The feed between server and agent: messages, and their JSON.

An agent learns the ports of its own host and nothing of other hosts' tenants.
"""
