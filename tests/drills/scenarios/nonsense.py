"""Drill 18: frames, messages and requests that are broken or mutated, under load; nobody notices, and nothing is left of it."""

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tidewire.identity.keys import ensure_key

from ..attacker import Attack
from ..conclusion import conclude
from ..crowd import TABLE, TALK, mixed
from ..drill import Drill
from ..node import DrillNode
from ..part import Part, service
from ..report import Report
from ..site import Site, StreamSpec

__all__ = ["DRILL"]

OPEN = "open"
"""A stream that the attackers may publish to."""
ATTACKERS = 2
MOST_GROWTH = 24 << 20
"""Bytes of memory that each process may have more afterwards: what its allocator keeps."""
SPARE_DESCRIPTORS = 5
FREED_WITHIN = 20.0
ATTACKS_PER_LINE = 5
"""At most so many lines of log, with what else happens."""
OTHER_LINES = 50
_BAD = ("Traceback", "[error", "[critical", "Exception in")


def run(site: Site, report: Report) -> None:
    scale = site.scale
    site.make_streams(StreamSpec(TABLE, table=True), StreamSpec(TALK), StreamSpec(OPEN))
    key_file = site.folder / "token.key"
    ensure_key(key_file)
    (node,) = site.start_nodes(
        1,
        {"TOKEN_KEY_FILE": str(key_file)},
        sabotage="no_farewell" if scale.is_sabotaged else None,
    )
    publisher = _start_publisher(site)
    flows = site.publish(
        site.flow(TABLE, scale.pick(long=200, short=50), removals=0.05),
        site.flow(TALK, scale.pick(long=100, short=30), seed=2),
    )
    clients = mixed(scale.pick(long=30, short=5), [node.ws])
    load = site.connect("clients", clients)
    _attack(site, node, publisher, scale.pick(long=3.0, short=1.0), "warm up")
    site.reaches(lambda: site.total("connections") == len(clients), within=FREED_WITHIN)
    pids = {"node": node.pid, "publisher": int(publisher.said["pid"])}
    before = {name: _Held.by(pid) for name, pid in pids.items()}
    sent = _attack(site, node, publisher, scale.pick(long=60.0, short=4.0), "attacks")
    is_left = site.reaches(lambda: site.total("connections") == len(clients), within=FREED_WITHIN)
    are_free = site.reaches(
        lambda: all(
            _Held.by(pid).descriptors <= before[name].descriptors + SPARE_DESCRIPTORS
            for name, pid in pids.items()
        ),
        within=FREED_WITHIN,
    )
    after = {name: _Held.by(pid) for name, pid in pids.items()}
    seen = conclude(site, report, publishers=[flows], loads=[load])
    report.figure("attacks", sent.total())
    for name, count in sorted(sent.items()):
        report.figure(name.replace("_", " "), count)
    for name in pids:
        grown = after[name].resident - before[name].resident
        report.figure(f"{name} MB more", grown / 1e6)
        report.require(
            f"memory of the {name} stays", grown <= MOST_GROWTH, f"{grown >> 20} MiB more"
        )
    report.require(
        "no connection of an attacker is left", is_left, f"{site.total('connections'):g}"
    )
    report.require("no descriptor is left", are_free, f"{after} after {before}")
    report.require("both still run", node.is_running and publisher.is_running, "")
    lost = sum(len(s.lost) for s in seen)
    report.require("connections of others stand", lost == 0, f"{lost} ended")
    _judge_logs(report, site, sent.total())


@dataclass(frozen=True, slots=True, repr=False)
class _Held:
    """What a process has: bytes in memory, descriptors."""

    resident: int
    descriptors: int

    def __repr__(self) -> str:
        return f"{self.resident >> 20} MiB and {self.descriptors} descriptors"

    @classmethod
    def by(cls, pid: int) -> "_Held":
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        return cls(pages * os.sysconf("SC_PAGE_SIZE"), descriptors)


def _start_publisher(site: Site) -> Part:
    settings = {
        "STREAMS": str(site.folder / "streams.yaml"),
        "KAFKA__BOOTSTRAP": site.bootstrap,
        "PORT": "0",
        "DEV": "true",
        "READY_JSON": "1",
    }
    named = {f"TIDEWIRE_PUBLISHER__{name}": text for name, text in settings.items()}
    publisher = service(site.folder, "publisher", ["tidewire_publisher"], named)
    site.at_end.callback(publisher.stop)
    publisher.start()
    return publisher


def _attack(
    site: Site, node: DrillNode, publisher: Part, seconds: float, what: str
) -> Counter[str]:
    """How many of each kind were sent."""
    counts = [site.folder / f"{what}-{n}.counts" for n in range(ATTACKERS)]
    http = publisher.said["http"]
    workers = [
        site.attack(f"{what}-{n}", Attack(node.ws, http, OPEN, seconds, n, str(path)))
        for n, path in enumerate(counts)
    ]
    site.let_run(seconds, what)
    for worker in workers:
        worker.wait()
    return sum((Counter(json.loads(path.read_text())) for path in counts), Counter[str]())


def _judge_logs(report: Report, site: Site, attacks: int) -> None:
    logs = [site.folder / "publisher.log", *(node.spec.log for node in site.nodes)]
    lines = [line for log in logs for line in log.read_text(errors="replace").splitlines()]
    bad = [line for line in lines if any(word in line for word in _BAD)]
    report.figure("lines of log", len(lines))
    report.require("no traceback, no error in the logs", not bad, bad[:3])
    most = OTHER_LINES + attacks // ATTACKS_PER_LINE
    report.require("few lines of log", len(lines) <= most, f"{len(lines)} of {most}")


DRILL = Drill(
    number=18,
    title="broken and mutated frames, messages, requests",
    sabotage="a connection that has ended is not forgotten",
    run=run,
)
