"""Following a flight: a small service of the example that tells each follower what happens to it."""
