"""What a Kafka client costs as the gateway's reader, and what it does to the sends beside it."""
