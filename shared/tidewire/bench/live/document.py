"""The JSON document of a measurement (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .figures import Outcome, Sample, churn_figures, figures_of
from .plan import Plan
from .remarks import remarks
from .sites import Site

__all__ = ["document"]


def document(plan: Plan, outcome: Outcome, machine: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that was asked for and found; a figure that was not to be had is null."""
    return {
        "machine": dict(machine),
        "options": _options(plan, outcome),
        "interrupted": outcome.is_interrupted,
        "figures": _figures(outcome.samples),
        "sites": [{**_site(sample.site), **_figures([sample])} for sample in outcome.samples],
        "published": _published(plan, outcome),
        "handshakes": asdict(churn_figures(outcome.churn)) if outcome.churn else None,
        "warnings": remarks(plan, outcome),
    }


def _options(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    return {
        "channel": plan.channel,
        "mode": outcome.granted.mode,
        "interval_ms": outcome.granted.interval_ms,
        "urls": [sample.site.url for sample in outcome.samples],
        "connections": plan.connections,
        "connect_rate": plan.connect_rate,
        "seconds": plan.seconds,
        "publish": None if plan.publication is None else asdict(plan.publication),
        "handshakes": plan.handshake_seconds,
    }


def _site(site: Site) -> dict[str, Any]:
    return {"url": site.url, "meters": [meter.name for meter in site.meters]}


def _figures(samples: Sequence[Sample]) -> dict[str, Any]:
    figures = figures_of(samples)
    closes = {str(code): count for code, count in figures.closes.items()}  # JSON has no other keys
    return {**asdict(figures), "closes": closes}


def _published(plan: Plan, outcome: Outcome) -> dict[str, Any] | None:
    published = outcome.published
    if published is None:
        return None
    return {
        **asdict(published),
        "per_second": published.events / published.seconds if published.seconds else 0.0,
        "arrivals": sum(sample.settled.events for sample in outcome.samples),
        "arrivals_expected": published.events * plan.connections,
    }
