"""What a reader of the figures has to know about them, in sentences (pure)."""

from collections.abc import Iterator, Mapping
from typing import Final

from ...protocol.codes import CloseCode, Mode
from .figures import Outcome, churn_figures, figures_of
from .plan import Plan

__all__ = ["remarks"]

BUSY: Final = 0.8
"""Cores; a load client above it may itself be what is slow."""
LATE: Final = 0.1
EARLY_SHARE: Final = 0.001


def remarks(plan: Plan, outcome: Outcome) -> list[str]:
    """Sentences, the one that matters most first."""
    return [
        *_of_the_run(plan, outcome),
        *_of_the_load(plan, outcome),
        *_of_the_publisher(plan, outcome),
        *_of_handshakes(outcome),
    ]


def _of_the_run(plan: Plan, outcome: Outcome) -> Iterator[str]:
    figures = figures_of(outcome.samples)
    if outcome.is_interrupted:
        yield "interrupted: the figures are of the time until then"
    if figures.frames == 0:
        yield (
            f"no frame arrived: nothing is published to {plan.channel} now; publish, or let it be done "
            "with --publish RATE --stream STREAM"
        )
    if figures.closes:
        yield f"connections ended while they were measured: {_closes(figures.closes)}"
    if figures.early_stamps > EARLY_SHARE * figures.latency.count:
        yield (
            f"{figures.early_stamps:,} events are younger than the clock of this machine: ages are wrong "
            "by what the clocks differ"
        )


def _of_the_load(plan: Plan, outcome: Outcome) -> Iterator[str]:
    load = figures_of(outcome.samples).load
    if load.busiest_cores > BUSY:
        yield (
            f"the load client used {load.busiest_cores:.0%} of a core: the figures may be its own rather "
            "than the system's; measure with fewer connections, or from several machines"
        )


def _of_the_publisher(plan: Plan, outcome: Outcome) -> Iterator[str]:
    published = outcome.published
    if published is None or outcome.is_interrupted:
        return
    if published.behind > LATE:
        yield (
            f"the publisher fell {published.behind:.1f} s behind its schedule ({published.events:,} of "
            f"{published.due:,} events left), which is in the latencies: ask for a lower --publish rate"
        )
    expected = published.events * plan.connections
    missing = expected - sum(sample.settled.events for sample in outcome.samples)
    if missing > 0 and outcome.granted.mode == Mode.EVERY:
        yield f"{missing:,} of {expected:,} events did not arrive, though the mode is `every`"


def _of_handshakes(outcome: Outcome) -> Iterator[str]:
    if not outcome.churn:
        return
    figures = churn_figures(outcome.churn)
    if figures.refused:
        how = ", ".join(f"{kind} ({count:,})" for kind, count in figures.refused.items())
        yield f"handshakes were refused: {how}"
    if figures.load_cores > BUSY:
        yield "the load client was busy with handshakes: more may be possible than it made"


def _closes(closes: Mapping[int, int]) -> str:
    return ", ".join(f"{code}{_word(code)} ({count:,})" for code, count in sorted(closes.items()))


def _word(code: int) -> str:
    try:
        return f" {CloseCode(code).name.lower()}"
    except ValueError:
        return ""
