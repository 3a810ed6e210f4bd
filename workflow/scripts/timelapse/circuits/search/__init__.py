"""Circuits found by taking away, from the whole model, what the logit difference can do without."""
