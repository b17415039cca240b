"""Messages to a user wherever it is: what publisher, router, registry and gateway agree on."""
