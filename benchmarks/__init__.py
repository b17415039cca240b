"""Measurements; each folder says what it measures and how to run it."""
