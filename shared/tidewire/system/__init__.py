"""What the processes of a system tell of themselves, in topics of its own (docs/observability.md)."""
