"""A gateway's figures against docs/observability.md: the feeds with most subscribers, who is slow, percentiles."""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.virtual import VirtualClient, VirtualLog, VirtualNode
from tidewire.config.streams import Stream
from tidewire.identity.tokens import Identity
from tidewire.protocol.codes import Mode
from tidewire_client.subscription_state import SubscriptionState
from tidewire_gateway.console.figures import Lease, Readings, gateway_figures
from tidewire_gateway.console.survey import FeedSurvey, SlowSurvey
from tidewire_gateway.core.limits import Limits
from tidewire_gateway.core.subscriptions import Subscription

CONTRACT = Path(__file__).parents[3] / "docs" / "observability.md"
READINGS = Readings(
    open=3,
    congested=1,
    handshaking=2,
    subscriptions={"attached": 5},
    feeds=2,
    partitions=6,
    lag_records=10,
    lag_seconds=0.5,
    rates={"consumed": 1.0, "delivered": 2.0, "frames": 3.0, "bytes": 4.0, "coalesced": 5.0},
    freshness_bounds=(0.1, 1.0),
    freshness=(10, 0, 0),
    top_feeds=[],
    slow=[],
    resumes={"exact": 1},
    handshakes={"accepted": 1},
    errors={"forbidden": 1},
    closes={"1006": 1},
    lease=Lease(is_held=True, slot=None),
    users=1,
)


def test_figures_are_those_of_the_contract() -> None:
    told = re.search(r"- \*\*gateway\*\*: (.*?)\n- \*\*registry", CONTRACT.read_text(), re.DOTALL)
    assert told is not None
    without_members = re.sub(r"\[\{.*?\]|\(?\{.*?\}", "", told[1].replace("\n", " "))
    without_notes = re.sub(r"\(.*?\)", "", without_members)
    assert list(gateway_figures(READINGS)) == [
        name for name in re.findall(r"`(\w+)`", without_notes) if name != "null"
    ]


def test_figures_are_what_was_read() -> None:
    figures = gateway_figures(READINGS)
    assert figures["connections"] == {"open": 3, "congested": 1, "handshaking": 2}
    assert figures["partitions"] == {"read": 6, "lag_records": 10, "lag_seconds": 0.5}
    assert figures["freshness"] == {"p50": 0.05, "p90": 0.09, "p99": 0.099}
    assert figures["lease"] == {"held": True, "slot": None}


def test_nothing_flushed_has_no_freshness_and_no_users_no_lease() -> None:
    figures = gateway_figures(replace(READINGS, freshness=(0, 0, 0), lease=None))
    assert figures["freshness"] == {"p50": None, "p90": None, "p99": None}
    assert figures["lease"] is None


STREAM = Stream(topic="prices", group="key", table=True, modes=(Mode.LATEST,), public=True)


@dataclass
class Node:
    """A virtual node with a client per channel that is asked for."""

    log: VirtualLog = field(default_factory=lambda: VirtualLog("prices", 1))

    def __post_init__(self) -> None:
        self.node = VirtualNode(self.log, STREAM, Limits())

    def connect(self, channel: str = "s") -> VirtualClient:
        client = VirtualClient(self.node, SubscriptionState(), channel)
        client.subscribe(interval_ms=250)
        self.node.timers.settle()
        return client

    def flow(self) -> None:
        self.node.read_all()
        self.node.timers.advance(1.0)

    def survey(self, survey: FeedSurvey) -> list[dict[str, Any]]:
        survey.add(self.node.index)
        return survey.take()


def test_feeds_tell_what_became_of_their_events_since_the_last_survey() -> None:
    node, survey = Node(), FeedSurvey()
    for _ in range(3):
        node.connect()
    node.flow()
    assert node.survey(survey) == [
        {
            "channel": "s",
            "mode": "latest",
            "interval_ms": 250,
            "subscribers": 3,
            "events": 0,
            "coalesced": 0,
        }
    ]
    for _ in range(2):
        node.log.publish(0, "k", b"1")
        node.log.publish(0, "k", b"2")
        node.flow()
    [told] = node.survey(survey)
    assert (told["events"], told["coalesced"]) == (2, 2)
    [told] = node.survey(survey)
    assert (told["events"], told["coalesced"]) == (0, 0)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30))
def test_the_twenty_feeds_with_most_subscribers_are_told(sizes: list[int]) -> None:
    node, survey = Node(), FeedSurvey()
    for number, size in enumerate(sizes):
        for _ in range(size):
            node.connect(f"s/g{number}")
    told = node.survey(survey)
    assert [feed["subscribers"] for feed in told] == sorted(sizes, reverse=True)[:20]
    assert len({feed["channel"] for feed in told}) == len(told)


@dataclass
class Gauge:
    queued: int = 0

    def buffered(self) -> int:
        return self.queued


@dataclass(eq=False)
class Client:
    id: str
    is_congested: bool = False
    identity: Identity | None = None
    pressure: Gauge = field(default_factory=Gauge)
    subscriptions: dict[int, Subscription] = field(default_factory=dict)


USER = Identity("ann", {}, 0.0)


def test_slow_connections_are_behind_since_they_were_first_seen_so() -> None:
    survey = SlowSurvey()
    slow = Client("a", is_congested=True, identity=USER, pressure=Gauge(70_000))
    clients = [slow, Client("b", identity=USER), Client("c")]
    survey.add(clients, 100.0)
    assert survey.take(100.0) == [
        {"connection": "a", "user": "ann", "behind_s": 0.0, "queued_bytes": 70_000}
    ]
    survey.add(clients, 102.0)
    assert survey.take(102.5)[0]["behind_s"] == 2.5
    slow.is_congested = False
    survey.add(clients, 104.0)
    assert survey.take(104.0) == []
    slow.is_congested = True
    survey.add(clients, 106.0)
    assert survey.take(106.0)[0]["behind_s"] == 0.0


@given(st.lists(st.floats(0, 100), max_size=40))
def test_the_twenty_that_are_behind_longest_are_told_the_slowest_first(since: list[float]) -> None:
    survey = SlowSurvey()
    clients = [Client(str(number), is_congested=True) for number in range(len(since))]
    for began_at in sorted(set(since)):
        present = [c for c, at in zip(clients, since, strict=True) if at <= began_at]
        survey.add(present, began_at)
        told = survey.take(began_at)
    if since:
        behind = [slow["behind_s"] for slow in told]
        expected = sorted((max(since) - at for at in since), reverse=True)[:20]
        assert behind == [round(seconds, 3) for seconds in expected]
