"""Drill 17: tokens expire, are revoked, are for somebody else; the identity provider is away, and flooded with unknown keys."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count
from math import ceil
from pathlib import Path
from typing import Any

from harness.issuer import ISSUER, IssuerKey, JwksServer, make_key
from harness.names import unique
from histories.entries import Revoked
from histories.writing import write_log
from tidewire.kafka.confluent_clients import ConfluentWriter
from tidewire.kafka.settings import KafkaSettings
from tidewire.revocation.records import Kind, Revocation, Subject, revocation_record

from ..conclusion import conclude
from ..crowd import TALK
from ..drill import Drill
from ..greetings import WELCOMED, greet_all
from ..load import Client
from ..node import DrillNode
from ..provider import identity_provider
from ..renewal import keep_key
from ..report import Report
from ..sightings import Sighting, quantile, recovered
from ..site import Site, StreamSpec

__all__ = ["DRILL"]

NODES = 2
ALGORITHM = "ES256"
LIFE = 3600.0
EXPIRIES = 2
EXPIRED, FORBIDDEN, REVOKED, UNDECIDED = 3005, 3500, 3503, 3030
WITHIN = 1.0
"""Seconds from a revocation's record to the last close."""
FLOOD_AT_ONCE = 20
FLUSH_TIMEOUT = 10.0
_WANTED = ({"channel": TALK, "mode": "every", "interval_ms": 50},)


def run(site: Site, report: Report) -> None:
    scale = site.scale
    known, next_key = make_key(ALGORITHM, "known"), make_key(ALGORITHM, "next")
    key_file = site.folder / "issuer.pem"
    keep_key(known, key_file)
    provider = site.at_end.enter_context(identity_provider(known))
    cooldown = scale.pick(long=5.0, short=2.0)
    revocations = unique("revocations")
    site.topics.create(revocations, 1, {"cleanup.policy": "compact"})
    site.make_streams(StreamSpec(TALK, public=False))
    settings = {
        "TOKENS__JWKS_URL": provider.url,
        "TOKENS__ISSUER": ISSUER,
        "TOKENS__JWKS_COOLDOWN": str(cooldown),
        "REVOCATIONS_TOPIC": revocations,
    }
    sabotage = "credulous" if scale.is_sabotaged else None
    nodes = site.start_nodes(NODES, settings, sabotage=sabotage)
    publisher = site.publish(site.flow(TALK, scale.pick(long=100, short=50)))
    life = scale.pick(long=6.0, short=2.0)
    users = [f"revoked-{n:03}" for n in range(scale.pick(long=100, short=10))]
    urls = [node.ws for node in nodes]
    loads = [
        site.connect("kept", list(_kept(urls, known, scale.pick(long=20, short=4)))),
        site.connect("revoked", list(_to_be_revoked(urls, known, users))),
        site.connect("expiring", list(_expiring(site, urls, key_file, life))),
    ]
    site.let_run(life * EXPIRIES + 1.0, "tokens expire")
    told = _revoke(site, revocations, users)
    site.let_run(scale.pick(long=5.0, short=2.0), "nobody of them gets anything any more")
    _judge_refusals(report, site, nodes, known, users)
    _take_provider_away(site, report, provider, nodes, (known, next_key))
    _flood(site, report, provider, nodes, cooldown)
    write_log(site.histories, told)
    seen = conclude(site, report, publishers=[publisher], loads=loads)
    _judge_expiry(report, [s for s in seen if s.name.startswith("expiring")])
    _judge_revocation(site, report, revocations, [s for s in seen if s.name.startswith("revoked")])
    lost = sum(len(s.lost) for s in seen if s.name.startswith("kept"))
    report.require("other connections stand", lost == 0, f"{lost} ended")


def _kept(urls: Sequence[str], key: IssuerKey, clients: int) -> Iterator[Client]:
    for n in range(clients):
        yield Client(f"kept-{n:02}", [urls[n % NODES]], _WANTED, token=_token(key, f"kept-{n:02}"))


def _to_be_revoked(urls: Sequence[str], key: IssuerKey, users: Sequence[str]) -> Iterator[Client]:
    """One connection of each user to every node."""
    for user in users:
        token = _token(key, user)
        for number, url in enumerate(urls):
            name = f"{user}-{number}"
            yield Client(name, [url], _WANTED, user=user, token=token, is_to_be_refused=True)


def _token(key: IssuerKey, user: str, **changes: Any) -> str:
    now = time.time()
    return key.token(**{"sub": user, "iat": now, "exp": now + LIFE, **changes})


def _expiring(site: Site, urls: Sequence[str], key_file: Path, life: float) -> Iterator[Client]:
    """So many tokens of each one expire; the last one is good until the end."""
    for n in range(site.scale.pick(long=20, short=4)):
        name = f"expiring-{n:02}"
        nodes = [*urls[n % NODES :], *urls[: n % NODES]]
        renewal = {
            "user": name,
            "life": life,
            "key_file": str(key_file),
            "key": "known",
            "algorithm": ALGORITHM,
            "short": EXPIRIES,
        }
        yield Client(name, nodes, _WANTED, user=name, renewal=renewal)


# Expiry


def _judge_expiry(report: Report, seen: Sequence[Sighting]) -> None:
    expired = [closed for s in seen for closed in s.lost]
    codes = {closed.code for closed in expired}
    returns = [seconds for s in seen for seconds in s.returns()]
    resumed = recovered(seen)
    report.figure("expired", len(expired))
    report.figure("back p50 s", quantile(returns, 0.5))
    report.require(
        f"who expires is closed {EXPIRED}",
        codes == {EXPIRED} and len(expired) == EXPIRIES * len(seen),
        f"{len(expired)} closes with {codes}",
    )
    report.require(
        "and comes back with a fresh token, exactly where it was",
        len(returns) == len(expired) and resumed["exact"] == resumed.total() >= len(expired),
        f"{len(returns)} came back, resumed {dict(resumed)}",
    )


# Revocation


def _revoke(site: Site, topic: str, users: Sequence[str]) -> list[Revoked]:
    """The first by the command, as an operator does, the others as fast as can be."""
    site.say(f"the tokens of {len(users)} users are revoked")
    first, *others = users
    command = ["revoke", "--user", first, "--kafka", site.bootstrap, "--topic", topic]
    subprocess.run(
        [sys.executable, "-m", "tidewire.cli", *command],
        check=True,
        capture_output=True,
        timeout=60,
    )
    told = [Revoked(user=first, at=time.monotonic())]
    writer = ConfluentWriter(KafkaSettings(bootstrap=site.bootstrap))
    try:
        for user in others:
            subject = Subject(Kind.USER, user)
            writer.offer(revocation_record(topic, subject, Revocation(time.time())))
            left = writer.flush(FLUSH_TIMEOUT)
            assert left == 0, "a revocation was not taken"
            told.append(Revoked(user=user, at=time.monotonic()))
    finally:
        writer.close(FLUSH_TIMEOUT)
    return told


def _judge_revocation(site: Site, report: Report, topic: str, seen: Sequence[Sighting]) -> None:
    lead = time.time() - time.monotonic()
    told_at = {
        (record.key or b"").decode().removeprefix("user/"): record.timestamp_ms / 1000 - lead
        for record in site.topics.read_back(topic)
    }
    closed = [
        closed.at - told_at[s.name.rpartition("-")[0]]
        for s in seen
        for closed in s.closed
        if closed.code == REVOKED
    ]
    report.figure("revoked connections", len(closed))
    report.figure("revoke to close p50 s", quantile(closed, 0.5))
    report.figure("revoke to close max s", max(closed, default=float("inf")))
    report.require(
        f"who is revoked is closed {REVOKED}, on every node",
        len(closed) == len(seen) == NODES * len(told_at),
        f"{len(closed)} of {len(seen)}",
    )
    report.require(
        f"within {WITHIN:g} s",
        max(closed, default=float("inf")) <= WITHIN,
        f"{max(closed, default=float('inf')):.2f} s",
        is_timing=True,
    )


# Refusals


def _judge_refusals(
    report: Report, site: Site, nodes: Sequence[DrillNode], key: IssuerKey, users: Sequence[str]
) -> None:
    site.say("tokens that are not good here are shown to every node")
    urls = [node.ws for node in nodes]
    wrong = {
        "revoked": _token(key, users[0], iat=1.0),
        "for another audience": _token(key, "ann", aud="elsewhere"),
        "of another issuer": _token(key, "ann", iss="https://elsewhere.example"),
    }
    for name, token in wrong.items():
        codes = [greeted.code for greeted in greet_all(urls, [token] * NODES)]
        report.require(f"a token {name} is refused", codes == [FORBIDDEN] * NODES, codes)


# The identity provider


def _take_provider_away(
    site: Site,
    report: Report,
    provider: JwksServer,
    nodes: Sequence[DrillNode],
    keys: tuple[IssuerKey, IssuerKey],
) -> None:
    known, next_key = keys
    urls = [node.ws for node in nodes]
    site.say("the identity provider is away")
    provider.is_away = True
    good = [_token(known, f"new-{n}") for n in range(NODES)]
    codes = [greeted.code for greeted in greet_all(urls, good)]
    report.require("known keys go on without it", codes == [WELCOMED] * NODES, codes)
    fresh = [_token(next_key, f"next-{n}") for n in range(NODES)]
    codes = [greeted.code for greeted in greet_all(urls, fresh)]
    report.require("a new key is answered `try again`", codes == [UNDECIDED] * NODES, codes)
    provider.publish(*keys)
    provider.is_away = False
    site.say("it is back, with a new key")

    def is_accepted() -> bool:
        return all(greeted.code == WELCOMED for greeted in greet_all(urls, fresh))

    took = site.wait_for(is_accepted, "the new key is accepted", within=60.0)
    report.figure("new key accepted after s", took)


def _flood(
    site: Site, report: Report, provider: JwksServer, nodes: Sequence[DrillNode], cooldown: float
) -> None:
    """Tokens whose keys nobody has, each another one, as fast as they are answered."""
    seconds = cooldown * site.scale.pick(long=4.0, short=1.5)
    site.say(f"unknown keys for {seconds:g} s")
    stranger = make_key(ALGORITHM)
    numbers = count()
    asked, began_at = provider.fetches, time.monotonic()
    codes: set[int] = set()
    shown = 0
    while time.monotonic() - began_at < seconds:
        tokens = [stranger.token(kid=f"unknown-{next(numbers)}") for _ in range(FLOOD_AT_ONCE)]
        codes |= {g.code for g in greet_all([node.ws for node in nodes], tokens)}
        shown += len(tokens)
        site.look_after()
    took = time.monotonic() - began_at
    requests = provider.fetches - asked
    most = NODES * (ceil(took / cooldown) + 1)
    report.figure("unknown keys shown", shown)
    report.figure("requests to the provider", requests)
    report.require(
        "the provider is asked once a cool-down and node", requests <= most, f"{requests} of {most}"
    )
    answers = {UNDECIDED, FORBIDDEN}
    report.require("nobody gets in with an unknown key", codes <= answers, codes)


DRILL = Drill(
    number=17,
    title="tokens expire and are revoked; the identity provider is away",
    sabotage="nodes close nobody whose token is revoked, and ask the provider for every unknown key",
    run=run,
)
