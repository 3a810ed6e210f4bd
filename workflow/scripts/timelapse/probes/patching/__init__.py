"""Activation patching: what each clean activation restores when it is put into a corrupted run."""
