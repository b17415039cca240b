"""Limits that would meet all clients of a test at once, since they come from one address; 0 is none."""

from typing import Final

__all__ = ["LIFTED", "LIFTED_VARIABLES"]

LIFTED: Final = {
    "connections_per_address": 0,
    "address_handshakes_per_second": 0,
    "handshakes_per_second": 0,
}
"""As limits of a gateway's settings."""
LIFTED_VARIABLES: Final = {f"LIMITS__{name.upper()}": str(value) for name, value in LIFTED.items()}
"""As variables, below the gateway's prefix."""
