"""Several nodes of one machine behind one public port, and the process that keeps them running."""
