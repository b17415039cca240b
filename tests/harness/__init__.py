"""What tests of every kind share: ports, waiting, brokers."""
