"""The ceiling of reading: the Kafka client alone, in a process of its own.

``python -m benchmarks.gateway.reading HOST:PORT TOPIC PARTITIONS COUNT`` reads the topic's last records and prints
its processor seconds.
"""

import json
import os
import subprocess
import sys
import time

import confluent_kafka as ck

from tidewire.bench.errors import BenchError
from tidewire.bench.usage import cpu_of
from tidewire.kafka.settings import KafkaSettings

from .figures import Sample
from .plan import Plan
from .processes import SERVER_CORE, pinned
from .rig import Rig, StreamSpec

__all__ = ["client_ceiling", "main"]

_BATCH = 500
_WAIT = 1.0
_PATIENCE = 60.0


def client_ceiling(rig: Rig, stream: StreamSpec, plan: Plan, run: int) -> Sample:
    """What reading alone costs, with the gateway's settings and nothing done with the records."""
    words = [rig.bootstrap, stream.name, str(stream.partitions), str(plan.backlog)]
    command = [sys.executable, "-m", "benchmarks.gateway.reading", *words]
    done = subprocess.run(  # noqa: S603 - our own module
        pinned(command, SERVER_CORE), capture_output=True, text=True, check=False, timeout=_PATIENCE
    )
    if done.returncode:
        raise BenchError(f"the Kafka client alone could not be measured:\n{done.stderr}")
    found = json.loads(done.stdout)
    return Sample(
        "a backlog, latest 250 ms",
        "the Kafka client alone",
        run,
        {
            "events_per_cpu_second": found["records"] / found["cpu"],
            "cpu_us_per_event": found["cpu"] / found["records"] * 1e6,
            "events_per_second": found["records"] / found["seconds"],
        },
    )


def main() -> None:
    bootstrap, topic, partitions, count = sys.argv[1:]
    client = ck.Consumer(KafkaSettings(bootstrap=bootstrap).librdkafka_consumer())
    places = [ck.TopicPartition(topic, p) for p in range(int(partitions))]
    per_partition = int(count) // len(places)
    for place in places:
        low, high = client.get_watermark_offsets(place, timeout=_PATIENCE)
        place.offset = max(low, high - per_partition)
    before, began = cpu_of(os.getpid()), time.monotonic()
    client.assign(places)
    read, ended = 0, 0
    while ended < len(places):
        for message in client.consume(_BATCH, timeout=_WAIT):
            if message.error() is None:
                message.value()
                read += 1
            else:
                ended += 1
    found = {"records": read, "cpu": cpu_of(os.getpid()).since(before).total}
    sys.stdout.write(json.dumps({**found, "seconds": time.monotonic() - began}) + "\n")


if __name__ == "__main__":
    main()
