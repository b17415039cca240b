"""Apache Kafka on this machine: one KRaft broker and controller from Maven's jars."""

import base64
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .broker_start import RunningBroker, folder, running, wait_until_up
from .kafka_jars import kafka_jars, program
from .ports import LOOPBACK, free_port
from .probe import broker_answers
from .processes import ChildSpec, never, start_child

__all__ = ["apache_kafka", "format_arguments", "server_settings"]

FORMAT_TIMEOUT: Final = 60.0
LOG_SETTINGS: Final = Path(__file__).with_name("kafka-log4j2.xml")
# The quick compiler alone: up with half the processor time, which counts more here than peak throughput.
JAVA_OPTIONS: Final = ("-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
JAVA_CURE: Final = "install Java 17 or later, or use the embedded broker (--broker embedded)"


@dataclass(frozen=True, slots=True)
class _Kafka:
    """Where one broker has its programs and its files."""

    java: str
    classpath: str
    data_dir: Path
    stopped: Callable[[], bool]
    make_settings: Callable[[Path, int], Mapping[str, str]]
    format_options: Sequence[str]

    @property
    def home(self) -> Path:
        return self.data_dir / "kafka"

    @property
    def settings(self) -> Path:
        return self.home / "server.properties"

    @property
    def cure(self) -> str:
        return f"if its data is broken, remove {self.home} to start afresh"


def server_settings(log: Path, port: int) -> dict[str, str]:
    """What the broker is told: one listener for everybody on this machine, at ``port``."""
    controller_port = free_port()
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "log.dirs": str(log),
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": "1",
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
    }


@contextmanager
def apache_kafka(
    data_dir: Path,
    *,
    port: int | None = None,
    stopped: Callable[[], bool] = never,
    make_settings: Callable[[Path, int], Mapping[str, str]] = server_settings,
    format_options: Sequence[str] = (),
) -> Iterator[RunningBroker]:
    """Apache Kafka with its data below ``data_dir``; returns once it answers in plain text at its port.

    ``make_settings`` makes the broker's properties of its log's folder and its port, ``format_options`` are the formatter's.
    """
    java = program("java", JAVA_CURE)
    jars = f"{kafka_jars(stopped=stopped)}/*"
    kafka = _Kafka(java, jars, data_dir, stopped, make_settings, format_options)
    folder(kafka.home)
    with running(lambda: _start(kafka, port or free_port()), fixed_port=bool(port)) as broker:
        yield broker


def _start(kafka: _Kafka, port: int) -> RunningBroker:
    settings = kafka.make_settings(kafka.home / "log", port)
    kafka.settings.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    if not (kafka.home / "log" / "meta.properties").exists():
        _format(kafka)
    command = [kafka.java, *JAVA_OPTIONS, f"-Dlog4j2.configurationFile={LOG_SETTINGS}"]
    command += ["-cp", kafka.classpath, "kafka.Kafka", str(kafka.settings)]
    log = kafka.data_dir / "logs" / "kafka.log"
    child = start_child(ChildSpec("Apache Kafka", command, log, cure=kafka.cure))
    wait_until_up(child, lambda: broker_answers(LOOPBACK, port), kafka.stopped)
    return RunningBroker(f"{LOOPBACK}:{port}", None, child.pid, child)


def _format(kafka: _Kafka) -> None:
    """Make the log folder with a new cluster id; a second start keeps the one that is there."""
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    java = [kafka.java, *JAVA_OPTIONS, "-cp", kafka.classpath]
    command = [*java, *format_arguments(cluster, kafka.settings), *kafka.format_options]
    log = kafka.data_dir / "logs" / "kafka-format.log"
    child = start_child(ChildSpec("Apache Kafka's formatter", command, log, cure=kafka.cure))
    child.wait_for_end(timeout=FORMAT_TIMEOUT, stopped=kafka.stopped)


def format_arguments(cluster: str, settings: Path) -> list[str]:
    """The formatter and its options, each in one word: a cluster id may begin with a dash."""
    return [
        "kafka.tools.StorageTool",
        "format",
        f"--cluster-id={cluster}",
        f"--config={settings}",
    ]
