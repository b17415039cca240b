"""One measurement from beginning to end: probe, connect, warm up, measure, churn."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from ..load_client import Report, built
from .churning import churn
from .figures import Outcome
from .holding import Held, holding
from .plan import Plan
from .probe import probe
from .publishing import PacedPublisher
from .sites import Site
from .window import Spend, measure, settled

__all__ = ["News", "Task", "run_bench"]

WARM_UP: Final = 1.0
_QUIET: Final = 1.0
"""Seconds without an event after which no more is expected; at least two intervals of the subscription."""


class News(Protocol):
    """Who is told what goes on."""

    def phase(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """``tokens``: connection n says element n (mod length), none: anonymous. ``pause`` waits out seconds."""

    plan: Plan
    sites: Sequence[Site]
    tokens: Sequence[str] = ()
    publisher: PacedPublisher | None = None
    pause: Spend = time.sleep


def run_bench(task: Task, news: News) -> Outcome:
    """Measure; every connection and process of it has ended on return.

    An interrupt while it measures ends that early; at any other time it is raised. Raises `BenchError`,
    and the errors of a publisher.
    """
    plan = task.plan
    news.phase("making the load client")
    built()
    news.phase(f"asking for {plan.channel}")
    token = next(iter(task.tokens), None)
    granted, *_ = [probe(plan, site.url, token) for site in task.sites]
    news.phase(f"opening {plan.connections:,} connections")
    with holding(plan, task.sites, task.tokens) as held:
        quiet = max(_QUIET, 2 * granted.interval_ms / 1000)
        outcome = _measured(task, held, Outcome(granted=granted), quiet, news)
    if plan.handshake_seconds is None or outcome.is_interrupted:
        return outcome
    news.phase(f"connections come and go for {plan.handshake_seconds:g} s")
    samples, is_interrupted = churn(plan, task.sites, task.tokens, task.pause)
    return replace(outcome, churn=samples, is_interrupted=is_interrupted)


def _measured(
    task: Task, held: Sequence[Held], outcome: Outcome, quiet: float, news: News
) -> Outcome:
    publisher, seconds = task.publisher, task.plan.seconds
    news.phase("warming up")
    if publisher is None:
        task.pause(WARM_UP)
        news.phase(f"measuring for {seconds:g} s")
        samples, is_interrupted = measure(held, seconds, task.pause)
        return replace(outcome, samples=samples, is_interrupted=is_interrupted)

    def arrived() -> list[Report]:
        publisher.flush()
        return settled(held, publisher.last_run().events * task.plan.connections, quiet)

    with publisher:
        publisher.run(WARM_UP)
        arrived()
        news.phase(f"measuring for {seconds:g} s")
        samples, is_interrupted = measure(held, seconds, publisher.run, arrived)
    published = publisher.last_run()
    return replace(outcome, samples=samples, published=published, is_interrupted=is_interrupted)
