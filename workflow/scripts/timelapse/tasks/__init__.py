"""Tasks: from the specs that researchers write to the prompts of a dataset."""
