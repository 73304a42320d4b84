"""Tables, times and names as people and programs see them."""
