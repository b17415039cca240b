"""Measuring a running system: a load client that costs less than what it measures."""
