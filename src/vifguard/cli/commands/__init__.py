"""Commands that are of no noun: up, down, drops, lab, audit."""
