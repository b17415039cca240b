"""Gateway: WebSocket nodes that read partitions, coalesce, and push shared batches."""
