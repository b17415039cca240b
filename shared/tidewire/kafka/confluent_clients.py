"""The ports on confluent-kafka (librdkafka): the reader, and a writer and admin for threads."""

from .confluent_admin import ConfluentAdmin
from .confluent_reader import ConfluentReader
from .confluent_writer import ConfluentWriter

__all__ = ["ConfluentAdmin", "ConfluentReader", "ConfluentWriter"]
