"""Attention: between labelled positions, of whole prompts, and how it changes over training."""
