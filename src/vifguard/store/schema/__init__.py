"""Tables, migrations, and the mapping of rows to the frozen dataclasses of `model`."""
