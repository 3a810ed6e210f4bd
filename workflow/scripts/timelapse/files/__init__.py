"""Files: those that users write, and those that are kept whole among many writers and readers."""
