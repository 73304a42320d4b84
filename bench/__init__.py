"""The costs of a packet, a port and an API call. Not imported by anything.

Figures that compare are ratios, measured side by side in one run; the machine is described
beside them.
"""
