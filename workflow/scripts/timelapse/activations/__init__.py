"""Stage: activations. What passes through a model, read once and kept for every probe."""
