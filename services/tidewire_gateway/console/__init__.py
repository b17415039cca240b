"""What a node has for operators where the console is on: its page, its records, and the streams of the system itself."""
