"""Kafka and Redis on this machine, for tests and for `tidewire dev`.

Each is a context manager that returns once the part answers and ends it on exit. Enter it from the
main thread: the children die with the thread that started them.
"""

from .apache import apache_kafka
from .broker_start import RunningBroker, RunningRedis
from .embedded import embedded_broker, embedded_redis
from .redis_server import redis_server

__all__ = [
    "RunningBroker",
    "RunningRedis",
    "apache_kafka",
    "embedded_broker",
    "embedded_redis",
    "redis_server",
]
