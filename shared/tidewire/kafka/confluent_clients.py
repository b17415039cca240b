"""The ports on confluent-kafka (librdkafka): writer and admin for threads, a reader on a thread of its own."""

from .confluent_admin import ConfluentAdmin
from .confluent_reader import ConfluentReader
from .confluent_writer import ConfluentWriter

__all__ = ["ConfluentAdmin", "ConfluentReader", "ConfluentWriter"]
