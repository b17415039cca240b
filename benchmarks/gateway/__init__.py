"""What the whole gateway costs, from a Kafka record to the sockets, beside limits and peers."""
