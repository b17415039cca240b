"""An Apache Kafka that one reaches over TLS and with a password, and whose certificates are good or bad, by listener."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.authority import HERE, Authority, make_authority
from harness.certificate import Certificate
from harness.leaks import CANARY
from harness.ports import LOOPBACK, free_port
from tidewire.dev.apache import apache_kafka, server_settings
from tidewire.kafka.security import KafkaSecurity
from tidewire.kafka.settings import KafkaSettings

__all__ = ["PASSWORD", "USER", "Listener", "SecureKafka", "secure_kafka"]

USER = "tide"
PASSWORD = f"kafka-{CANARY}"
"""Whoever logs it gives it away."""
_MECHANISMS = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"
_SECURITY = "org.apache.kafka.common.security"


class Listener(StrEnum):
    """Ports of the one broker. All but ``CLEAR`` speak TLS."""

    TLS = "TLS"
    MUTUAL = "MUTUAL"
    """Wants a certificate of the client, too."""
    SASL = "SASL"
    CLEAR = "CLEAR"
    """SASL without TLS."""
    ELSEWHERE = "ELSEWHERE"
    """Its certificate is for another host name."""
    EXPIRED = "EXPIRED"


_PROTOCOLS: Mapping[Listener, str] = {
    Listener.TLS: "SSL",
    Listener.MUTUAL: "SSL",
    Listener.SASL: "SASL_SSL",
    Listener.CLEAR: "SASL_PLAINTEXT",
    Listener.ELSEWHERE: "SSL",
    Listener.EXPIRED: "SSL",
}


@dataclass
class SecureKafka:
    """``bootstrap`` is in plain text, for whatever a test does by hand."""

    folder: Path
    authority: Authority
    client: Certificate
    locked_client: Certificate
    """Its key can be read with `PASSWORD` alone."""
    bootstrap: str = ""
    ports: dict[Listener, int] = field(default_factory=dict)

    def at(self, listener: Listener) -> str:
        return f"{LOOPBACK}:{self.ports[listener]}"

    def settings(self, listener: Listener, **given: Any) -> KafkaSettings:
        """What a client is told that goes in by a listener: its authority, user and password, unless ``given`` says otherwise."""
        security: dict[str, Any] = {"protocol": _PROTOCOLS[listener]}
        if security["protocol"].endswith("SSL"):
            security["ca_file"] = self.authority.certificate
        if security["protocol"].startswith("SASL"):
            security |= {"mechanism": "SCRAM-SHA-512", "username": USER, "password": PASSWORD}
        return KafkaSettings(
            bootstrap=self.at(listener),
            fetch_wait=0.05,
            security=KafkaSecurity.model_validate(security | given),
        )

    def server_settings(self, log: Path, port: int) -> dict[str, str]:
        self.ports = {listener: free_port() for listener in Listener}
        settings = server_settings(log, port)
        own = ",".join(f"{name}://{LOOPBACK}:{at}" for name, at in self.ports.items())
        for name in ("listeners", "advertised.listeners"):
            settings[name] += f",{own}"
        protocols = ",".join(f"{name}:{protocol}" for name, protocol in _PROTOCOLS.items())
        settings["listener.security.protocol.map"] += f",{protocols}"
        settings["inter.broker.listener.name"] = "PLAINTEXT"
        for listener, protocol in _PROTOCOLS.items():
            prefix = f"listener.name.{listener.lower()}."
            if protocol.endswith("SSL"):
                settings |= {prefix + name: text for name, text in self._tls(listener).items()}
            if protocol.startswith("SASL"):
                settings |= {prefix + name: text for name, text in _sasl().items()}
        return settings

    def _tls(self, listener: Listener) -> dict[str, str]:
        names = "DNS:elsewhere.example" if listener is Listener.ELSEWHERE else HERE
        days = -1 if listener is Listener.EXPIRED else 2
        made = self.authority.issue(f"broker-{listener.lower()}", names=names, days=days)
        both = made.key.with_suffix(".both.pem")
        both.write_text(made.key.read_text() + made.certificate.read_text())
        return {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.certificate),
            "ssl.client.auth": "required" if listener is Listener.MUTUAL else "none",
        }


def _sasl() -> dict[str, str]:
    settings = {"sasl.enabled.mechanisms": _MECHANISMS}
    modules = {
        "plain": f"{_SECURITY}.plain.PlainLoginModule required user_{USER}='{PASSWORD}';",
        "scram-sha-256": f"{_SECURITY}.scram.ScramLoginModule required;",
        "scram-sha-512": f"{_SECURITY}.scram.ScramLoginModule required;",
        "oauthbearer": f"{_SECURITY}.oauthbearer.OAuthBearerLoginModule required;",
    }
    return settings | {f"{name}.sasl.jaas.config": module for name, module in modules.items()}


@contextlib.contextmanager
def secure_kafka(folder: Path) -> Iterator[SecureKafka]:
    """The broker, until the block is left."""
    authority = make_authority(folder)
    kafka = SecureKafka(
        folder, authority, authority.issue("client"), authority.locked("client-locked", PASSWORD)
    )
    users = [
        f"--add-scram={mechanism}=[name={USER},password={PASSWORD}]"
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
    ]
    with apache_kafka(folder, make_settings=kafka.server_settings, format_options=users) as broker:
        kafka.bootstrap = broker.bootstrap
        yield kafka
