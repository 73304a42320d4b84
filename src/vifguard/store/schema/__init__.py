"""Tables, migrations, and how rows become the frozen dataclasses of `model`."""
