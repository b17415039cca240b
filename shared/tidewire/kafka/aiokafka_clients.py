"""The ports on aiokafka: reader and writer for an event loop."""

from .aiokafka_reader import AiokafkaReader
from .aiokafka_writer import AiokafkaWriter

__all__ = ["AiokafkaReader", "AiokafkaWriter"]
