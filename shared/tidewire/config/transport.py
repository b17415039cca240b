"""How a service that clients reach keeps what they say secret: TLS of its own, or a proxy's."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ..units import SECONDS

__all__ = ["TlsSettings", "check_transport"]


class TlsSettings(BaseModel):
    """TLS of a public port; none without ``certificate_file``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificate_file: Path | None = Field(
        default=None, description="PEM: the server's certificate, then those between it and the CA"
    )
    key_file: Path | None = Field(default=None, description="PEM: the certificate's private key")
    key_password: SecretStr | None = Field(default=None, description="of an encrypted key")
    reload_interval: float = Field(
        default=10.0,
        gt=0,
        le=86_400,
        description="between two looks whether the files have changed",
        json_schema_extra=SECONDS,
    )

    @property
    def is_on(self) -> bool:
        return self.certificate_file is not None


def check_transport(prefix: str, tls: TlsSettings, *, trust_proxy_tls: bool, dev: bool) -> None:
    """Raises ``ValueError`` that names the settings and the cure where tokens would cross a network readable.

    ``prefix`` is that of the service's settings.
    """
    certificate, key = f"{prefix}TLS__CERTIFICATE_FILE", f"{prefix}TLS__KEY_FILE"
    proxy = f"{prefix}TRUST_PROXY_TLS"
    if tls.certificate_file is None and (tls.key_file or tls.key_password):
        raise ValueError(f"{certificate}: is not set, and a key alone is no TLS: set both, or none")
    if tls.is_on and tls.key_file is None:
        raise ValueError(f"{key}: is not set; TLS needs the key of {certificate}: set it")
    if tls.is_on and trust_proxy_tls:
        raise ValueError(
            f"{proxy}: plain text from a proxy is not taken on a port that speaks TLS itself; set it to "
            f"false (a proxy may speak TLS to this port), or leave {certificate} and {key} unset"
        )
    if not (tls.is_on or trust_proxy_tls or dev):
        raise ValueError(
            f"{certificate}: is not set, and outside development mode nothing is served in plain text; name a "
            f"certificate, and its key in {key}; or set {proxy}=true where a proxy in front speaks TLS to "
            f"the clients; or {prefix}DEV=true for development on this machine"
        )
