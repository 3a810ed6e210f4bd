"""Whether every file of a study is what was written. Free of torch."""
