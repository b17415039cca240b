"""Where commands find Kafka and streams.yaml: options, a running `tidewire dev`, the environment."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from ..config.errors import ConfigError
from ..config.streams import Stream
from ..config.streams_file import load_streams
from ..dev.options import DEFAULT_DATA_DIR
from ..dev.running import read_running
from ..kafka.settings import KafkaSettings

__all__ = [
    "Connection",
    "DataDirOption",
    "KafkaOption",
    "StreamsOption",
    "connection",
    "kafka_settings",
    "streams_path",
]

KAFKA_VARIABLE = "TIDEWIRE_KAFKA__BOOTSTRAP"
LOCAL_STREAMS = Path("streams.yaml")

KafkaOption = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help=f"Kafka. Default: the running `tidewire dev`, else ${KAFKA_VARIABLE}.",
    ),
]
StreamsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="streams.yaml. Default: that of the running `tidewire dev`, else ./streams.yaml.",
    ),
]
DataDirOption = Annotated[
    Path, typer.Option(metavar="DIR", help="Data directory of the `tidewire dev` to look for.")
]


@dataclass(frozen=True, slots=True)
class Connection:
    kafka: KafkaSettings
    streams: dict[str, Stream]


def connection(
    kafka: str | None, streams: Path | None, data_dir: Path = DEFAULT_DATA_DIR
) -> Connection:
    """Raises ``ConfigError`` that names the options where nothing tells."""
    loaded = load_streams(streams_path(streams, data_dir)).streams
    return Connection(kafka_settings(kafka, data_dir), loaded)


def streams_path(streams: Path | None, data_dir: Path = DEFAULT_DATA_DIR) -> Path:
    if streams is not None:
        return streams
    running = read_running(data_dir)
    if running is not None:
        return running.streams
    if LOCAL_STREAMS.exists():
        return LOCAL_STREAMS
    raise ConfigError(
        f"no streams.yaml: there is none here and no `tidewire dev` runs in {data_dir}; "
        "name one with --streams, or the run's directory with --data-dir"
    )


def kafka_settings(kafka: str | None, data_dir: Path = DEFAULT_DATA_DIR) -> KafkaSettings:
    """Kafka alone, for what needs no streams; raises like ``connection``."""
    source, bootstrap = _bootstrap(kafka, data_dir)
    try:
        return KafkaSettings(bootstrap=bootstrap, client_id="tidewire-cli")
    except ValidationError:
        raise ConfigError(
            f"{source}: must be HOST:PORT, several separated by commas (is {bootstrap!r})"
        ) from None


def _bootstrap(kafka: str | None, data_dir: Path) -> tuple[str, str]:
    if kafka is not None:
        return "--kafka", kafka
    running = read_running(data_dir)
    if running is not None:
        return str(data_dir), running.kafka
    if from_environment := os.environ.get(KAFKA_VARIABLE):
        return KAFKA_VARIABLE, from_environment
    raise ConfigError(
        f"no Kafka to talk to: no `tidewire dev` runs in {data_dir}; start one, "
        f"name a broker with --kafka HOST:PORT or set {KAFKA_VARIABLE}"
    )
