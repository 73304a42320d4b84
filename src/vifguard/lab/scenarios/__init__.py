"""The scenarios: worlds with a story and expectations."""
