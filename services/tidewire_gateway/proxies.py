"""Whether a node behind a proxy can tell its clients apart."""

from tidewire.telemetry.logging import get_logger

from .settings import PREFIX, GatewaySettings

__all__ = ["warn_of_one_address"]

_log = get_logger(__name__)


def warn_of_one_address(settings: GatewaySettings) -> None:
    """Say that all clients would have the limits of one address: the proxy's."""
    limits = settings.limits
    is_limited = limits.connections_per_address or limits.address_handshakes_per_second
    if settings.trust_proxy_tls and is_limited and not settings.trusted_proxies:
        _log.warning(
            "clients behind a proxy share the limits of its address",
            cure=f"set {PREFIX}TRUSTED_PROXIES to the addresses of the proxies, "
            f"or lift {PREFIX}LIMITS__CONNECTIONS_PER_ADDRESS and …ADDRESS_HANDSHAKES_PER_SECOND with 0",
        )
