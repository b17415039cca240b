"""Drill 5: connects, disconnects, deaths, pauses and re-issued slots as chance has it, while messages flow."""

import os
import random
import signal

from ..drill import Drill
from ..node import DrillNode
from ..report import Report
from ..site import Site
from ..users import Users
from ..users_conclusion import conclude_users

__all__ = ["DRILL"]

SEED = "DRILL_SEED"
LAST_WORDS = 1.0
SHORT_SEED = 195
"""What counts as a test is the same every time; the long form takes another seed each time, and says which."""


def run(site: Site, report: Report) -> None:
    scale = site.scale
    seed = int(os.environ.get(SEED, SHORT_SEED if scale.is_short else random.randrange(1 << 20)))
    site.say(f"{SEED}={seed}")
    report.figure("seed", seed)
    chance = random.Random(seed)
    users = Users(
        site,
        count=scale.pick(long=500, short=40),
        lease=scale.pick(long=5.0, short=2.0),
        # Sabotaged, routers have to be wrong for long enough.
        lookup_ttl=5.0 if scale.is_sabotaged else scale.pick(long=5.0, short=0.5),
        sabotage="no_second_look" if scale.is_sabotaged else None,
    )
    nodes = users.start(scale.pick(long=3, short=2), routers=scale.pick(long=2, short=1))
    unrest = scale.pick(long=40.0, short=7.0)
    load, connections = users.connect(
        "users", nodes, seed=seed, drops_for=unrest, drops_every=scale.pick(long=10.0, short=3.0)
    )
    publisher = site.publish(users.flow(seed=seed))
    done = [
        chance.choice(FAULTS)(site, users, chance.choice(nodes), chance)
        for _ in range(scale.pick(long=8, short=3))
    ]
    _end_with_a_death(site, users, nodes[0], connections)
    publisher.finish()
    users.wait_until_announced(connections, within=60.0)
    seen = conclude_users(site, report, users, publishers=[], loads=[load], connections=connections)
    report.figure("faults", " ".join(done))
    dropped = sum(closed.is_own for s in seen for closed in s.closed) - connections
    report.figure("dropped by clients", dropped)
    report.require("there was unrest", dropped > 0, f"{dropped} connections dropped by clients")


def _end_with_a_death(site: Site, users: Users, node: DrillNode, connections: int) -> None:
    """Nothing is published for long after it: no later message tells anybody that one is missing."""
    site.say(f"kill -9 {node.spec.name}, for good")
    users.note_letters([node])
    node.kill()
    site.wait_for(lambda: site.total("connections") == connections, "everybody is elsewhere")
    site.let_run(LAST_WORDS)


def _kill(site: Site, users: Users, node: DrillNode, chance: random.Random) -> str:
    site.say(f"kill -9 {node.spec.name}")
    users.note_letters([node])
    node.kill()
    site.let_run(chance.uniform(0.1, users.lease))
    node.start()
    site.let_run(chance.uniform(0.1, 1.0))
    return "killed"


def _pause(site: Site, users: Users, node: DrillNode, chance: random.Random) -> str:
    """For shorter or longer than a lease."""
    site.say(f"SIGSTOP {node.spec.name}")
    node.signal(signal.SIGSTOP)
    site.let_run(chance.uniform(0.2, 1.6) * users.lease)
    node.signal(signal.SIGCONT)
    site.let_run(chance.uniform(0.1, 1.0))
    return "paused"


def _reissue(site: Site, users: Users, node: DrillNode, chance: random.Random) -> str:
    """Its slot goes to a node that comes when its lease is over and forgotten."""
    site.say(f"SIGSTOP {node.spec.name} until its slot is another's")
    node.signal(signal.SIGSTOP)
    site.wait_for(lambda: not users.view.knows(node.spec.name), "its slot is free", within=60.0)
    successor = users.start_nodes(1)[0]
    node.signal(signal.SIGCONT)
    site.let_run(chance.uniform(0.1, 1.0))
    users.note_letters([successor])
    successor.signal(signal.SIGTERM)
    successor.wait_for_end(60.0)
    return "re-issued"


def _registry(site: Site, users: Users, node: DrillNode, chance: random.Random) -> str:
    site.say(f"the registry restarts, and {node.spec.name} stands still for a moment")
    users.registry.kill()
    node.signal(signal.SIGSTOP)
    site.let_run(chance.uniform(0.1, users.lease / 2))
    users.registry.start()
    node.signal(signal.SIGCONT)
    site.let_run(chance.uniform(0.1, 1.0))
    return "registry"


FAULTS = (_kill, _pause, _reissue, _registry)

DRILL = Drill(
    number=5,
    title="everything at random",
    sabotage="no second look at mailboxes",
    run=run,
)
