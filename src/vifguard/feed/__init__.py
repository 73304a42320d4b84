"""What server and agent say to each other: messages, their JSON, and how they are cut.

An agent learns the ports of its own host and nothing of other hosts' tenants.
"""
