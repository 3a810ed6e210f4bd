"""Stage figures: probe tables in, PNG, GIF, SVG and JSON out. No model, no torch."""
