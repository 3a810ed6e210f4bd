"""Circuits in the formats of other tools. Free of torch."""
