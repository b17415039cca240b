"""The ports on aiokafka: a writer for an event loop."""

from .aiokafka_writer import AiokafkaWriter

__all__ = ["AiokafkaWriter"]
