"""Stage: verification. Is every file of a study what was written? Free of torch."""
