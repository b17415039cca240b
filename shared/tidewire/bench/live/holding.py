"""Connections that are held while a measurement lasts: one load client for each site."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

from ..errors import NotReadyError, RefusedError
from ..load_client import LoadClient
from .plan import Plan
from .sites import Site, Usage, shares_of
from .subscribing import load_options

__all__ = ["Held", "connect_timeout", "holding", "wait_until_ready"]

CONNECT_TIMEOUT: Final = 30.0
SLOWEST_CONNECTING: Final = 200.0
"""Connections a second below which it is given up, unless the plan asks for fewer."""
_CURES: Final = {
    "503": "a node takes no more: ask for fewer --connections, open them at a --connect-rate, or raise "
    "its TIDEWIRE_GATEWAY__LIMITS__MAX_CONNECTIONS, …MAX_HANDSHAKES, …HANDSHAKES_PER_SECOND",
    "429": "the node limits what comes from one address: lift its TIDEWIRE_GATEWAY__LIMITS__CONNECTIONS_PER_ADDRESS, "
    "…ADDRESS_HANDSHAKES_PER_SECOND with 0",
    "3504": "they are too many of one user: lift the node's TIDEWIRE_GATEWAY__LIMITS__CONNECTIONS_PER_USER with 0, "
    "and raise TIDEWIRE_REGISTRY__CONNECTIONS_PER_USER, or give each a token of its own",
    "no_port": "this machine has no more ports to one address: ask for fewer --connections",
    "unreachable": "the node does not accept connections",
}


@dataclass(frozen=True, slots=True)
class Held:
    """A site with its connections. ``idle`` and ``full``: its usage without and with them, if metered."""

    site: Site
    connections: int
    client: LoadClient
    idle: Usage | None
    full: Usage | None


@contextmanager
def holding(plan: Plan, sites: Sequence[Site], tokens: Sequence[str]) -> Iterator[list[Held]]:
    """All connections of the plan, subscribed. Raises `RefusedError` where some are not to be had."""
    shares = shares_of(plan.connections, len(sites))
    with ExitStack() as stack:
        idle = [site.usage() for site in sites]
        clients = []
        for number, (site, share) in enumerate(zip(sites, shares, strict=True)):
            own = tokens[sum(shares[:number]) :][:share] or tokens
            options = load_options(plan, site.url, share, own)
            clients.append(stack.enter_context(LoadClient(options)))
        for site, client in zip(sites, clients, strict=True):
            wait_until_ready(site, client, connect_timeout(plan))
        full = [site.usage() for site in sites]
        parts = zip(sites, shares, clients, idle, full, strict=True)
        yield [Held(*part) for part in parts]


def connect_timeout(plan: Plan) -> float:
    return CONNECT_TIMEOUT + plan.connections / (plan.connect_rate or SLOWEST_CONNECTING)


def wait_until_ready(site: Site, client: LoadClient, timeout: float) -> None:
    """Raises `RefusedError` that says how many connections failed, how, and the cure."""
    try:
        client.wait_until_ready(timeout)
    except NotReadyError as error:
        report = client.report()
        seen = [*report.refused, *report.errors, *map(str, report.closes)]
        cures = "; ".join(cure for kind, cure in _CURES.items() if kind in seen)
        raise RefusedError(f"{site.url}: {error}{cures and ': '}{cures}") from error
