"""Circuits compared over checkpoints and tasks: how alike, how sure, what became of each head.

Free of torch. Every measure is a function of two sets of circuits at once; what it is worth is told
by a bootstrap over prompts (`bootstrap`) and by halves of one checkpoint's prompts (`halves`).
"""
