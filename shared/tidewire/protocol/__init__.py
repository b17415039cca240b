"""The wire protocol, version 1: pure parsing and building, no I/O."""
