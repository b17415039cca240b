"""The end of a drill with users: all is routed, the registry is compared, every mailbox is read afresh, the checker judges."""

import time
from collections.abc import Sequence

from histories.entries import Run
from histories.writing import write_log, write_run

from .conclusion import judge, keep_log
from .report import Report
from .sightings import Sighting, quantile, recovered, see
from .site import Site
from .users import Users
from .users_log import OWN, TWICE
from .workers import Worker

__all__ = ["conclude_users"]

LAST = "last"
"""The clients that come when all is over, without a position: what they get is what the mailboxes hold."""


def conclude_users(
    site: Site,
    report: Report,
    users: Users,
    *,
    publishers: Sequence[Worker],
    loads: Sequence[Worker],
    connections: int,
) -> list[Sighting]:
    """What the users' clients saw, once the checker has judged it; ``connections`` are theirs."""
    for publisher in publishers:
        publisher.finish()
    quiet_at = time.monotonic()
    users.wait_until_routed()
    serving = [node for node in site.nodes if node.is_running]
    last, added = users.connect(LAST, serving, most_each=1, seed=99)
    users.wait_until_announced(connections + added)
    users.settle()
    told = users.view.sessions()
    users.note_letters(site.nodes)
    for load in (*loads, last):
        load.end_soon()
    for load in (*loads, last):
        load.wait()
    for stream in site.streams:
        keep_log(site, stream)
    write_log(site.histories, users.log())
    write_run(site.histories, Run(quiet_at=quiet_at))
    verdict = judge(site, report)
    seen = see(site.histories)
    mine = [s for s in seen if not s.name.startswith(LAST)]
    _figures(report, users, mine, seen)
    report.figure("twice in an inbox", users.counted[TWICE])
    report.figure("twice at a client", verdict.total.repeats)
    report.figure("gaps", sum(verdict.total.gaps.values()))
    _compare(report, told, seen)
    return mine


def _figures(
    report: Report, users: Users, mine: Sequence[Sighting], seen: Sequence[Sighting]
) -> None:
    afresh = sum(a.events for s in seen if s.name.startswith(LAST) for a in s.arrivals)
    report.figure("messages a second", users.rate)
    report.figure("from inboxes", users.counted["inbox"])
    report.figure("from mailboxes", users.counted["mailbox"] - afresh)
    report.figure("fenced", users.counted["fenced"])
    report.figure("in mailboxes at the end", afresh)
    returns = [seconds for sighting in mine for seconds in sighting.returns()]
    report.figure("connections lost", sum(len(s.lost) for s in mine))
    if returns:
        report.figure("back p50 s", quantile(returns, 0.5))
        report.figure("back p99 s", quantile(returns, 0.99))
        report.figure("resumed", " ".join(f"{k} {n}" for k, n in sorted(recovered(mine).items())))


def _compare(report: Report, told: set[str], seen: Sequence[Sighting]) -> None:
    """The registry against the connections that there were."""
    live = {s.last_connection for s in seen if any(a.channel == OWN for a in s.answers)}
    ghosts, missing = told - live, live - told
    said = f"{len(ghosts)} that are no more, {len(missing)} that it lacks, of {len(live)}"
    report.require("the registry has the connections there are", not ghosts and not missing, said)
