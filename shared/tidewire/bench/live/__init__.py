"""Measuring a system that runs, from outside: its nodes by address, its cost by process or metrics."""
