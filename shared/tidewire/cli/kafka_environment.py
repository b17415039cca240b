"""What the environment tells commands of Kafka: ``TIDEWIRE_KAFKA__…``."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from ..config.settings import ServiceSettings, load_settings
from ..kafka.security import KafkaSecurity

__all__ = ["PREFIX", "KafkaEnvironment", "kafka_environment"]

PREFIX = "TIDEWIRE_KAFKA__"


class KafkaEnvironment(ServiceSettings):
    """Named as services name it, under a prefix that is no service's."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    bootstrap: str | None = Field(
        default=None, description="brokers to ask first, `HOST:PORT,…`; `--kafka` comes before it"
    )
    security: KafkaSecurity = Field(
        default=KafkaSecurity(), description="TLS and passwords; without it, plain text"
    )


def kafka_environment() -> KafkaEnvironment:
    """Read like a service's settings; raises ``ConfigError``."""
    return load_settings(KafkaEnvironment)
