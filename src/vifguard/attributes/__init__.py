"""Attributes of nouns as data: accepted values, defaults, who may set them, and their texts.

One declaration serves the API (parsing, policy, documents), the command (options) and `apply`
(keys). The room is pure: values come from JSON and become the model's.
"""
