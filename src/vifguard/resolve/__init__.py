"""Intent to PortPolicy: all that must hold for one port, with every default made explicit.

Pure; standard library only. A dangling reference gives a closed policy, never a wider one.
"""
