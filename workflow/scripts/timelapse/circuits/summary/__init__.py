"""A run in short: what it did to the circuit, and whether other seeds agree. Free of torch."""
