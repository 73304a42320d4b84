"""Converters of the values that attributes accept."""
