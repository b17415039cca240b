"""Alarms: raised when a rule says so, since when, and without flicker; the rules of each service."""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.system.alarms import Alarms, Rule, Severity
from tidewire.system.rules import GATEWAY, PUBLISHER, REGISTRY, ROUTER

LEVEL = Rule(
    "level",
    Severity.WARNING,
    lambda record, _: record["level"],
    lambda level: f"at {level:g}",
    above=10.0,
    until=5.0,
    rise=4.0,
    fall=10.0,
)


class Watched:
    """Records of a level, at moments that a test names."""

    def __init__(self, rule: Rule = LEVEL) -> None:
        self.alarms = Alarms([rule])

    def at(self, now: float, level: float | None) -> list[dict[str, Any]]:
        return self.alarms.look({"level": level, "at_ms": int(now * 1000)}, now)


def test_alarm_is_raised_once_it_has_lasted_and_says_since_when() -> None:
    watched = Watched()
    assert watched.at(100, 11) == []
    assert watched.at(102, 12) == []
    assert watched.at(104, 13) == [
        {"name": "level", "severity": "warning", "text": "at 13", "since_ms": 100_000}
    ]


def test_peak_that_does_not_last_raises_nothing() -> None:
    watched = Watched()
    for now, level in ((100, 11), (102, 10), (104, 11), (106, 11)):
        assert watched.at(now, level) == []


def test_alarm_goes_on_while_the_measure_is_between_the_bounds() -> None:
    watched = Watched()
    watched.at(100, 11)
    for now in range(104, 160, 2):
        [alarm] = watched.at(now, 7 if now > 104 else 11)
        assert alarm["since_ms"] == 100_000
    assert alarm["text"] == "at 7"


def test_alarm_ends_once_all_has_been_well_for_a_while() -> None:
    watched = Watched()
    watched.at(100, 11)
    watched.at(104, 11)
    assert watched.at(106, 5) != []
    assert watched.at(114, 0) != []
    assert watched.at(115, 6) != []  # not well: the while begins anew
    assert watched.at(116, 5) != []
    assert watched.at(124, None) != []
    assert watched.at(126, 5) == []


def test_alarm_that_comes_back_has_a_beginning_of_its_own() -> None:
    watched = Watched()
    for now, level in ((100, 11), (104, 11), (106, 0), (116, 0), (200, 11)):
        watched.at(now, level)
    [alarm] = watched.at(204, 11)
    assert alarm["since_ms"] == 200_000


@given(st.lists(st.one_of(st.none(), st.floats(0, 20)), max_size=60))
def test_an_alarm_never_flickers(levels: Sequence[float | None]) -> None:
    watched = Watched()
    changed_at, was_raised = float("-inf"), False
    for number, level in enumerate(levels):
        now = 2.0 * number
        is_raised = bool(watched.at(now, level))
        if is_raised != was_raised:
            assert now - changed_at >= (LEVEL.rise if is_raised else LEVEL.fall)
            assert (level is not None and level > LEVEL.above) == is_raised
            changed_at, was_raised = now, is_raised


@given(st.lists(st.one_of(st.none(), st.floats(0, 10)), max_size=60))
def test_what_is_within_its_bound_raises_nothing(levels: Sequence[float | None]) -> None:
    watched = Watched()
    assert not any(watched.at(2.0 * n, level) for n, level in enumerate(levels))


WELL: Mapping[str, dict[str, Any]] = {
    "gateway": {
        "connections": {"open": 100, "congested": 0, "handshaking": 0},
        "partitions": {"read": 4, "lag_records": 0, "lag_seconds": 0.0},
        "freshness": {"p50": None, "p90": None, "p99": None},
        "lease": {"held": True, "slot": 1},
    },
    "registry": {"store_up": True, "frozen": False},
    "router": {"lag_records": 0, "waiting": 0, "registry_away": False, "dead_letters": 7},
    "publisher": {"published": {"written": 5.0, "unavailable": 0.0, "invalid": 2.0}},
}
RULES = {"gateway": GATEWAY, "registry": REGISTRY, "router": ROUTER, "publisher": PUBLISHER}

Change = Callable[[dict[str, Any]], None]


def told(service: str, change: Change) -> list[tuple[str, str]]:
    """The alarms of a process that was well and then, for a minute, was not."""
    alarms = Alarms(RULES[service])
    record = {"state": "ready", "loop_lag_s": 0.01, "at_ms": 0, "figures": WELL[service]}
    assert alarms.look(record, 0.0) == []
    raised: list[tuple[str, str]] = []
    for number in range(1, 30):
        record = deepcopy(record)
        change(record)
        for alarm in alarms.look(record, 2.0 * number):
            assert alarm["text"]
            if (alarm["name"], alarm["severity"]) not in raised:
                raised.append((alarm["name"], alarm["severity"]))
    return raised


def test_processes_that_are_well_say_nothing() -> None:
    for service in RULES:
        assert told(service, lambda _: None) == []


def figure(*path: str, value: Any) -> Change:
    def change(record: dict[str, Any]) -> None:
        place = record["figures"]
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def dies(record: dict[str, Any]) -> None:
    record["figures"]["dead_letters"] += 1


@pytest.mark.parametrize(
    ("service", "change", "name", "severity"),
    [
        ("gateway", figure("partitions", "lag_seconds", value=31), "consumer_lag", "warning"),
        ("gateway", figure("freshness", "p99", value=5.1), "freshness", "warning"),
        ("gateway", figure("connections", "congested", value=6), "congestion", "warning"),
        (
            "gateway",
            figure("lease", value={"held": False, "slot": None}),
            "lease_lost",
            "critical",
        ),
        ("gateway", lambda r: r.update(state="overloaded"), "overloaded", "critical"),
        ("gateway", lambda r: r.update(loop_lag_s=0.3), "loop_lag", "warning"),
        ("registry", figure("store_up", value=False), "store_down", "critical"),
        ("registry", figure("frozen", value=True), "expiry_frozen", "warning"),
        ("registry", lambda r: r.update(loop_lag_s=0.3), "loop_lag", "warning"),
        ("router", figure("lag_records", value=1001), "router_lag", "warning"),
        ("router", figure("registry_away", value=True), "registry_away", "critical"),
        ("router", figure("waiting", value=1), "waiting", "warning"),
        ("router", dies, "dead_letters", "warning"),
        (
            "publisher",
            figure("published", "unavailable", value=1.0),
            "publish_failing",
            "critical",
        ),
    ],
)
def test_what_goes_wrong_is_told(service: str, change: Change, name: str, severity: str) -> None:
    assert told(service, change) == [(name, severity)]


@pytest.mark.parametrize(
    ("service", "change"),
    [
        ("gateway", figure("lease", value=None)),
        ("gateway", figure("connections", value={"open": 2, "congested": 2, "handshaking": 0})),
        ("gateway", figure("partitions", "lag_seconds", value=30)),
        ("router", figure("lag_records", value=900)),
        ("publisher", figure("published", value={"written": 0.0, "unavailable": 0.0})),
        ("publisher", figure("published", "invalid", value=100.0)),
    ],
)
def test_what_is_nobodys_fault_is_not(service: str, change: Change) -> None:
    assert told(service, change) == []
