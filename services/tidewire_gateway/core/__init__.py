"""Everything the gateway decides, with no I/O, clock or randomness."""
