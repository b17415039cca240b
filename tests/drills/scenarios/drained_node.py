"""Drill 2: a node is told to end under load; some of its clients do not listen."""

import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from tidewire.protocol.codes import CloseCode

from ..conclusion import conclude
from ..crowd import TABLE, TALK, mixed
from ..drill import Drill
from ..report import Report
from ..sightings import Sighting
from ..site import Site, StreamSpec

__all__ = ["DRILL"]

DELAY = 1.0
GRACE = 5.0
TENTHS = 10
MOST_IN_A_TENTH = 0.3
DEAF_EVERY = 5
"""One client in so many ignores `goaway`."""


def run(site: Site, report: Report) -> None:
    scale = site.scale
    window = scale.pick(long=20.0, short=4.0)
    settings = {"DRAIN_DELAY": str(DELAY), "DRAIN_WINDOW": str(window)}
    site.make_streams(StreamSpec(TABLE, table=True), StreamSpec(TALK))
    leaving, staying = site.start_nodes(
        2, settings, sabotage="hasty_drain" if scale.is_sabotaged else None
    )
    publisher = site.publish(
        site.flow(TABLE, scale.pick(long=300, short=100), removals=0.05),
        site.flow(TALK, scale.pick(long=200, short=60), seed=2),
    )
    clients = [
        replace(client, urls=[leaving.ws, staying.ws], obeys_goaway=number % DEAF_EVERY != 0)
        for number, client in enumerate(mixed(scale.pick(long=200, short=20), [leaving.ws]))
    ]
    load = site.connect("clients", clients)
    site.let_run(scale.pick(long=5.0, short=1.0))
    site.say(f"SIGTERM {leaving.spec.name}")
    leaving.signal(signal.SIGTERM)
    asked_at = time.monotonic()
    code = leaving.wait_for_end(DELAY + window + 4 * GRACE)
    took = time.monotonic() - asked_at
    site.wait_for(lambda: site.total("connections") == len(clients), "everybody is elsewhere")
    site.let_run(scale.pick(long=3.0, short=0.5))
    seen = conclude(site, report, publishers=[publisher], loads=[load])
    report.require("it ended in order", code == 0, f"exit code {code}")
    most = DELAY + window + GRACE
    report.require("it ended in time", took <= most, f"{took:.1f} s of {most:g} s")
    report.figure("clients", len(clients))
    report.figure("ended after s", took)
    deaf = {client.name for client in clients if not client.obeys_goaway}
    _judge(report, seen, deaf, begin=asked_at + DELAY, window=window)


def _judge(
    report: Report, seen: Sequence[Sighting], deaf: set[str], *, begin: float, window: float
) -> None:
    moved = [s for s in seen if s.name not in deaf and not s.lost]
    report.figure("moved by themselves", len(moved))
    closed = [end.code for s in seen for end in s.lost]
    report.figure("closed 3001", closed.count(CloseCode.SHUTTING_DOWN))
    report.require(
        "who obeys moves by itself",
        len(moved) == len(seen) - len(deaf),
        f"{len(moved)} of {len(seen) - len(deaf)}",
    )
    report.require(
        "stragglers are closed 3001",
        closed == [CloseCode.SHUTTING_DOWN] * len(deaf),
        str(dict(Counter(closed))),
    )
    shares = _shares(seen, begin, window)
    report.figure("reconnects by tenth", " ".join(str(n) for n in shares))
    share = max(shares) / max(1, sum(shares))
    report.figure("most in a tenth", share)
    report.require(
        f"at most {MOST_IN_A_TENTH:.0%} reconnect in a tenth of the window",
        share <= MOST_IN_A_TENTH,
        f"{share:.0%}",
        is_timing=True,
    )


def _shares(seen: Sequence[Sighting], begin: float, window: float) -> list[int]:
    """How many clients came back in each tenth of the window."""
    counts = [0] * TENTHS
    for sighting in seen:
        if len(sighting.opened) > 1:
            tenth = int((sighting.opened[1].at - begin) / window * TENTHS)
            counts[min(max(tenth, 0), TENTHS - 1)] += 1
    return counts


DRILL = Drill(
    number=2,
    title="SIGTERM under load",
    sabotage="every client is told, and closed, at once",
    run=run,
)
