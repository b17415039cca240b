"""Where commands find Kafka and streams.yaml: options, a running `tidewire dev`, the environment."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from ..config.errors import ConfigError
from ..config.streams import Stream
from ..config.streams_file import load_streams
from ..dev.options import DEFAULT_DATA_DIR
from ..dev.running import read_running
from ..kafka.security import KafkaSecurity
from ..kafka.settings import KafkaSettings

if TYPE_CHECKING:
    from .kafka_environment import KafkaEnvironment

__all__ = [
    "Connection",
    "DataDirOption",
    "KafkaOption",
    "StreamsOption",
    "connection",
    "kafka_of_environment",
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
    """Kafka alone, for what needs no streams; raises like ``connection``.

    The environment says how any broker is spoken to but that of a `tidewire dev`, which is in plain text.
    """
    running = read_running(data_dir) if kafka is None else None
    if running is not None:
        return _settings(str(data_dir), running.kafka, KafkaSecurity())
    if kafka is not None:
        return _settings("--kafka", kafka, _environment().security)
    if named := kafka_of_environment():
        return named
    raise ConfigError(
        f"no Kafka to talk to: no `tidewire dev` runs in {data_dir}; start one, "
        f"name a broker with --kafka HOST:PORT or set {KAFKA_VARIABLE}"
    )


def kafka_of_environment() -> KafkaSettings | None:
    """None where it names no broker; raises ``ConfigError`` for what cannot be used."""
    environment = _environment()
    if not environment.bootstrap:
        return None
    return _settings(KAFKA_VARIABLE, environment.bootstrap, environment.security)


def _settings(source: str, bootstrap: str, security: KafkaSecurity) -> KafkaSettings:
    try:
        return KafkaSettings(bootstrap=bootstrap, security=security, client_id="tidewire-cli")
    except ValidationError:
        raise ConfigError(
            f"{source}: must be HOST:PORT, several separated by commas (is {bootstrap!r})"
        ) from None


def _environment() -> "KafkaEnvironment":
    """Slow to load, and a running `tidewire dev` needs none of it."""
    from .kafka_environment import kafka_environment

    return kafka_environment()
