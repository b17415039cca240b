"""TLS of a service's public port: its certificate, its handshakes, and what is counted of both."""

from collections.abc import Callable
from typing import Any

from ..config.transport import TlsSettings
from ..telemetry.metrics import Metrics
from .certificate import ServedCertificate
from .tls_entrance import behind_tls

__all__ = ["PublicTls", "public_tls", "scheme_of"]


class PublicTls:
    """Raises like `ServedCertificate`, and blocks as it does."""

    def __init__(self, tls: TlsSettings, prefix: str, metrics: Metrics) -> None:
        self._certificate = ServedCertificate(tls, prefix)
        self._handshakes = metrics.counters("tls_handshakes_total", "outcome")
        self._expires = metrics.gauge("tls_certificate_expires_seconds")
        self._loaded()

    def before(self, http: Callable[..., Any], most: Callable[[], int] | None = None) -> Any:
        """For uvicorn's ``http``; ``most`` tells how many sockets there may be."""
        return behind_tls(
            http,
            self._certificate.context,
            on_end=lambda handshake: self._handshakes[handshake].inc(),
            most=most,
        )

    async def watch(self) -> None:
        """Show a new certificate once its files are there."""
        await self._certificate.watch(self._loaded)

    def _loaded(self) -> None:
        self._expires.set(self._certificate.expires_at)


def public_tls(tls: TlsSettings, prefix: str, metrics: Metrics) -> PublicTls | None:
    """None where there is no certificate; ``prefix`` is that of the service's settings."""
    return PublicTls(tls, prefix, metrics) if tls.is_on else None


def scheme_of(tls: PublicTls | None) -> str:
    return "http" if tls is None else "https"
