"""Drill 20: every part is replaced by one of the next version, one after the other, under load; and back again."""

import random
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from harness.releases import last_release, unpack

from ..code import Code
from ..crossings import crossings, moves, stays
from ..crowd import TABLE, TALK, mixed
from ..drill import Drill
from ..ingest import Ingest
from ..probes import hand_in, is_unchanged, push_through, read_once
from ..report import Report
from ..rolling import RollingUsers
from ..sightings import Sighting, recovered
from ..site import Site, StreamSpec
from ..users_conclusion import conclude_users
from ..workers import Worker

__all__ = ["DRILL"]

STILL = "countries"
"""A table that is published before anything else, so that whoever reads it reads the same."""
STILL_EVENTS = 200
LEASE = 60.0
"""Seconds: longer than a registry takes to be replaced, however busy the machine."""
TENTHS = 10
MOST_IN_A_TENTH = 0.3
MOST_CLOSED = 0.05
SAFE_RESUMES = {"exact", "changes"}
SAFE_ERRORS = {"unavailable"}
INCOMPATIBLE = "drills.other_formats"


class _Rolling:
    """The parts, the load, and what is found on the way."""

    def __init__(self, site: Site, report: Report) -> None:
        pick = site.scale.pick
        self.site, self.report = site, report
        release = last_release()
        self.old = Code(tree=unpack(release, site.folder))
        self.new = Code(patch=INCOMPATIBLE if site.scale.is_sabotaged else None)
        report.figure("release", f"{release.version} ({release.commit[:7]})")
        site.make_streams(
            StreamSpec(TABLE, table=True), StreamSpec(TALK), StreamSpec(STILL, table=True)
        )
        self.drain = pick(long=(1.0, 10.0), short=(0.2, 2.0))
        self.users = RollingUsers(
            site,
            code=self.old,
            drain=self.drain,
            count=pick(long=200, short=20),
            lease=LEASE,
            lookup_ttl=pick(long=5.0, short=0.5),
        )
        self.nodes = self.users.start(pick(long=3, short=2))
        self._publish_what_stays()
        self.loads: list[Worker] = []
        self.movers: list[Worker] = []
        self.of_users = self.in_all = 0
        self._connect()
        self.publisher = site.publish(
            self.users.flow(),
            site.flow(TABLE, pick(long=100, short=50), removals=0.05),
            site.flow(TALK, pick(long=100, short=50), seed=2),
        )

    def _publish_what_stays(self) -> None:
        events = [{"key": f"g{n % 8}/e{n}", "data": {"n": n}} for n in range(STILL_EVENTS)]
        taken = hand_in(self.users.publisher_url, STILL, events)
        assert taken == STILL_EVENTS, f"{taken} of {STILL_EVENTS} events were taken"

    def _connect(self) -> None:
        """Clients that stay until they are asked to move, and as many that will move by themselves."""
        urls = [node.ws for node in self.nodes]
        count = self.site.scale.pick(long=10, short=3)
        for kind in ("stay", "move"):
            users, of_users = self.users.connect(
                f"users-{kind}", self.nodes, most_each=1, seed=len(kind) + len(self.loads)
            )
            clients = [*mixed(count, urls, kind), *mixed(count, urls[::-1], f"{kind}-back")]
            streams = self.site.connect(f"streams-{kind}", clients)
            self.loads += [users, streams]
            self.of_users += of_users
            self.in_all += of_users + len(clients)
        self.movers = self.loads[2:]
        self.users.wait_until_announced(self.of_users)

    # Steps

    def roll(self, code: Code) -> None:
        """Gateways first, since they read what routers write; then everything else."""
        self.users.code = code
        middle = len(self.nodes) // 2
        for number, node in enumerate(self.nodes, start=1):
            self.users.replace_node(node)
            self._wait_until_back()
            if number == middle:
                self._mix()
        self._probe()
        leases = self._leases()
        away_at = time.monotonic()
        self.users.replace_registry()
        self._require_leases(leases)
        self.users.replace_router()
        self.users.replace_publisher()
        self.site.wait_for(
            lambda: self._were_renewed(away_at), "every lease is renewed", within=LEASE
        )
        self._require_leases(leases)
        self._probe()
        self.site.let_run(self.site.scale.pick(long=3.0, short=0.5))

    def _mix(self) -> None:
        """Both versions serve: half of the clients move to where there is room, and everybody gets something."""
        for _ in self.nodes:
            self._drop_half()
            if self._are_everywhere():
                break  # else once more: they take their addresses in turn
        before = self._served()
        self.site.let_run(self.site.scale.pick(long=5.0, short=1.5), "two versions side by side")
        after = self._served()
        for kind, by_node in after.items():
            grown = {n: count - before[kind].get(n, 0) for n, count in by_node.items()}
            self.report.require(
                f"{kind} from nodes of both versions", all(grown.values()), str(grown)
            )
        self._probe()

    def _drop_half(self) -> None:
        self.site.say("half of the clients drop their connections")
        due = self._accepted() + self.in_all // 2
        for worker in self.movers:
            worker.signal(signal.SIGUSR1)
        self.site.wait_for(lambda: self._accepted() >= due, "they have come back", within=60.0)
        self._wait_until_back()
        self.users.wait_until_announced(self.of_users, within=60.0)

    def _accepted(self) -> float:
        return self.site.total("handshakes_total", outcome="accepted")

    def _are_everywhere(self) -> bool:
        """Whether each node has users and others."""
        users = {node["node"]: node["sessions"] for node in self.users.view.nodes()}
        return all(
            n.metrics().total("connections") > users.get(n.spec.name, 0) > 0 for n in self.nodes
        )

    def _wait_until_back(self) -> None:
        self.site.wait_for(
            lambda: self.site.total("connections") >= self.in_all,
            "everybody is connected again",
            within=60.0,
        )

    def _served(self) -> Mapping[str, Mapping[str, float]]:
        """What each node has given its clients so far."""
        told = {node.spec.name: node.metrics() for node in self.nodes}
        return {
            "events": {n: m.total("events_delivered_total") for n, m in told.items()},
            "letters": {n: m.total("letters_total", outcome="inbox") for n, m in told.items()},
        }

    def _leases(self) -> Mapping[str, str]:
        """The epoch of each node's."""
        return {node["node"]: node["epoch"] for node in self.users.view.nodes() if node["is_live"]}

    def _require_leases(self, before: Mapping[str, str]) -> None:
        now = self._leases()
        kept = sum(now.get(node) == epoch for node, epoch in before.items())
        said = f"{kept} of {len(before)}"
        self.report.require("leases outlive their registry", now == before, said)

    def _were_renewed(self, since: float) -> bool:
        """Whether all run for longer than anybody could have promised before."""
        ends = time.monotonic() - since - LEASE
        return all(
            ends + node["lease_ms_left"] / 1000 > 0
            for node in self.users.view.nodes()
            if node["is_live"]
        )

    def _probe(self) -> None:
        """Every node says the same of a channel at rest, knows the others' tags, and takes pushes."""
        read = {node.spec.name: read_once(node.http, STILL) for node in self.nodes}
        alike = len(set(read.values())) == 1
        tags = {name: reading.etag for name, reading in read.items()}
        self.report.require("a channel reads the same everywhere", alike, str(tags))
        known = all(
            is_unchanged(node.http, STILL, etag) for node in self.nodes for etag in tags.values()
        )
        self.report.require("nodes know one another's tags", known, str(tags))
        for node in self.nodes:
            user = f"push-{random.randrange(1 << 30)}"
            outcome = push_through(
                node.ws, self.users.publisher_url, self.users.view, user, self.users.token(user)
            )
            said = f"{outcome} on {node.spec.name}"
            self.report.require("pushes arrive", outcome == "delivered", said)

    # What became of it

    def judge(self, seen: Sequence[Sighting], ingest: Ingest) -> None:
        self._judge_nodes(seen)
        self._judge_clients(seen)
        report, refused = self.report, dict(ingest.refused)
        report.figure("handed in over HTTP", ingest.taken)
        report.require("the publishers took everything", ingest.taken > 0 and not refused, refused)
        unread = sum(1 for n in self.nodes for _ in n.logged("inbox record skipped"))
        report.require("every letter can be read", unread == 0, f"{unread} log lines say no")
        bounds = self.site.topics.bounds(self.users.dead_letters)
        dead = sum(end - start for start, end in bounds.values())
        report.require("no message is a dead letter", dead == 0, f"{dead} are")
        strange = [
            p.name
            for p in self.site.folder.glob("*.log")
            if "not the code of" in p.read_text(errors="replace")
        ]
        report.require("every process ran the code that it was given", not strange, strange)

    def _judge_clients(self, seen: Sequence[Sighting]) -> None:
        crossed = crossings(seen, self.users.departed, self.old)
        up, down = crossed[self.old, self.new], crossed[self.new, self.old]
        self.report.figure("resumed from old to new", up)
        self.report.figure("resumed from new to old", down)
        crossed_all = up > 0 and (down > 0 or self.site.scale.is_short)
        self.report.require("positions crossed versions", crossed_all, f"{up} up, {down} down")
        outcomes = recovered(seen)
        self.report.require(
            "positions of one version are resumed by the other",
            set(outcomes) <= SAFE_RESUMES,
            dict(outcomes),
        )
        errors = Counter(code for s in seen for _, code in s.errors)
        self.report.require(
            "requests are understood by both", set(errors) <= SAFE_ERRORS, dict(errors)
        )
        lost = Counter(end.code for s in seen for end in s.lost)
        moved = sum(len(stays(s)) - 1 for s in seen)
        self.report.require(
            f"at most {MOST_CLOSED:.0%} are closed before they have moved",
            sum(lost.values()) <= MOST_CLOSED * moved,
            f"{dict(lost)} of {moved}",
            is_timing=True,
        )

    def _judge_nodes(self, seen: Sequence[Sighting]) -> None:
        codes = [gone.exit_code for gone in self.users.departed]
        self.report.figure("nodes replaced", len(codes))
        self.report.require("every node ended in order", not any(codes), f"exit codes {codes}")
        delay, window = self.drain
        tenths = [0] * TENTHS
        worst = 0.0
        for gone in self.users.departed:
            begin = gone.asked_at + delay
            times = moves(seen, gone, begin, begin + window)
            counts = Counter(min(TENTHS - 1, int((at - begin) / window * TENTHS)) for at in times)
            for tenth, count in counts.items():
                tenths[tenth] += count
            worst = max(worst, max(counts.values(), default=0) / max(1, len(times)))
        self.report.figure("moves by tenth of the window", " ".join(map(str, tenths)))
        most = self.site.scale.pick(long=MOST_IN_A_TENTH, short=2 * MOST_IN_A_TENTH)
        self.report.require(
            f"at most {most:.0%} of a node's clients move in a tenth of the window",
            0 < worst <= most,
            f"{worst:.0%}",
            is_timing=True,
        )


def run(site: Site, report: Report) -> None:
    rolling = _Rolling(site, report)
    users = rolling.users
    with Ingest(users.publisher_url, TABLE, len(users.names)) as ingest:
        site.let_run(site.scale.pick(long=3.0, short=0.5))
        rolling.roll(rolling.new)
        if not site.scale.is_short:
            rolling.roll(rolling.old)
        ingest.stop()
    seen = conclude_users(
        site,
        report,
        users,
        publishers=[rolling.publisher],
        loads=rolling.loads,
        connections=rolling.of_users,
    )
    rolling.judge(seen, ingest)


DRILL = Drill(
    number=20,
    title="rolling upgrade",
    sabotage="positions, letters, registry keys and tags of the new version mean something else",
    run=run,
)
