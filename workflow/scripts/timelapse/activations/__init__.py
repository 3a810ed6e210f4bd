"""Activations of the clean prompts, read from the model or from a cache that every probe shares."""
