"""Connections that come and go: what a handshake takes and costs."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

from ..errors import BenchError
from ..load_client import LoadClient
from .figures import ChurnSample
from .holding import connect_timeout, wait_until_ready
from .plan import Plan
from .sites import Site, shares_of
from .subscribing import load_options
from .window import Spend

__all__ = ["MOST_AT_ONCE", "churn"]

MOST_AT_ONCE: Final = 128
"""Handshakes that are under way at a site at any time."""


def churn(
    plan: Plan, sites: Sequence[Site], tokens: Sequence[str], spend: Spend
) -> tuple[list[ChurnSample], bool]:
    """Samples of the plan's ``handshake_seconds``, and whether an interrupt cut them short."""
    assert plan.handshake_seconds is not None
    with ExitStack() as stack:
        clients = []
        under_way = [min(s, MOST_AT_ONCE) for s in shares_of(plan.connections, len(sites))]
        for site, places in zip(sites, under_way, strict=True):
            options = load_options(plan, site.url, places, tokens, churn=True)
            clients.append(stack.enter_context(LoadClient(options)))
        for site, client in zip(sites, clients, strict=True):
            wait_until_ready(site, client, connect_timeout(plan))
        before = [_cpu_seconds(site) for site in sites]
        for client in clients:
            client.mark()
        is_interrupted = False
        try:
            spend(plan.handshake_seconds)
        except KeyboardInterrupt:
            is_interrupted = True
        reports = [client.report() for client in clients]
        after = [_cpu_seconds(site) for site in sites]
    used = [
        None if then is None or now is None else now - then
        for then, now in zip(before, after, strict=True)
    ]
    samples = [ChurnSample(*parts) for parts in zip(sites, under_way, reports, used, strict=True)]
    return samples, is_interrupted


def _cpu_seconds(site: Site) -> float | None:
    try:
        usage = site.usage()
    except BenchError:
        return None
    return None if usage is None else usage.cpu_seconds
