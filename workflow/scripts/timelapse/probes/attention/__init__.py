"""Attention: between labelled positions, of whole prompts, and how it changes over training."""

from timelapse.probes.attention.patterns import needs as needs
