"""Circuits found by taking away, from the whole model, what the metric can do without."""
