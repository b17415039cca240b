"""The reader of the gateway and its yardstick, by name, and what a process has used."""

import resource
from collections.abc import Callable, Mapping, Sequence

from tidewire.kafka.confluent_clients import ConfluentReader
from tidewire.kafka.ports import RecordReader
from tidewire.kafka.settings import KafkaSettings

from .plain_aiokafka import PlainAiokafka

__all__ = ["READERS", "cpu_seconds", "make_reader", "percentile", "spread"]

READERS: Mapping[str, Callable[[KafkaSettings], RecordReader]] = {
    "aiokafka": PlainAiokafka,
    "confluent": ConfluentReader,
}


def make_reader(name: str, bootstrap: str) -> RecordReader:
    return READERS[name](KafkaSettings(bootstrap=bootstrap))


def cpu_seconds() -> float:
    """User and system time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` (0 to 1) of them lie; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Least, median, most."""
    ordered = sorted(values)
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]
