"""What the environment tells commands of Kafka: ``TIDEWIRE_KAFKA__…``."""

from pydantic_settings import SettingsConfigDict

from ..config.settings import ServiceSettings, load_settings
from ..kafka.security import KafkaSecurity

__all__ = ["KafkaEnvironment", "kafka_environment"]


class KafkaEnvironment(ServiceSettings):
    """Named as services name it, under a prefix that is no service's."""

    model_config = SettingsConfigDict(env_prefix="TIDEWIRE_KAFKA__")

    bootstrap: str | None = None
    security: KafkaSecurity = KafkaSecurity()


def kafka_environment() -> KafkaEnvironment:
    """Read like a service's settings; raises ``ConfigError``."""
    return load_settings(KafkaEnvironment)
