"""Questions that the API asks: what a project sees, how lists are filtered, what it has."""
