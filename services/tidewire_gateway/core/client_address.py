"""Where a request comes from: the peer's address, or what trusted proxies say of it."""

from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

__all__ = ["TrustedProxies", "group_of"]

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network
_MOST_HOPS = 32
_GROUP_BITS = 64
"""Of an IPv6 address: what is behind them one customer has to himself (RFC 6177)."""


class TrustedProxies:
    """``networks`` are addresses and CIDR blocks; raises ``ValueError`` for one that is neither."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks: tuple[_Network, ...] = tuple(ip_network(n) for n in networks)

    def client_of(self, peer: str, forwarded_for: Sequence[str]) -> str:
        """The client's address; ``forwarded_for`` are the lines of `X-Forwarded-For`, as they came.

        Each proxy puts down, at the right, whom it was asked by. So the list is believed from there, as far as it was written
        by proxies that are trusted: the first address that is none of theirs is the client. What stands left of it, or of
        what is no address, anybody may have written.
        """
        if not self._networks or not self._are_trusting(_address_of(peer)):
            return peer
        client = peer
        rest = ",".join(forwarded_for)
        for _ in range(_MOST_HOPS):
            rest, comma, entry = rest.rpartition(",")
            address = _address_of(entry.strip())
            if address is None:
                break
            client = str(address)
            if not (comma and self._are_trusting(address)):
                break
        return client

    def _are_trusting(self, address: _Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def group_of(address: str) -> str:
    """Whose limits an address has: of IPv6 its /64, of IPv4 itself; whatever is no address is itself, too."""
    if ":" not in address:
        return address
    parsed = _address_of(address)
    if not isinstance(parsed, IPv6Address):
        return address if parsed is None else str(parsed)
    network = int(parsed) >> (128 - _GROUP_BITS) << (128 - _GROUP_BITS)
    return f"{IPv6Address(network)}/{_GROUP_BITS}"


def _address_of(text: str) -> _Address | None:
    """An address, with a port or in brackets as some proxies write it; IPv4 within IPv6 is IPv4."""
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or (port and not (port.startswith(":") and _is_port(port[1:]))):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(port):
            return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5
