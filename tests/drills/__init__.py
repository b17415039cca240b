"""Faults the system survives: real broker, real gateway processes, real kills, and the checker's verdict."""
