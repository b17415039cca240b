"""What drills conclude from: reports, expositions, ages over time."""

import math

from drills.exposition import parse, quantile_bound
from drills.report import Report, Verdict, table
from drills.scenarios import DRILLS
from drills.sightings import Arrival, quantile, typical

BEFORE = """
# HELP tidewire_closes_total Connections that ended, by close code
tidewire_closes_total{code="3012"} 1.0
tidewire_closes_total{code="1006"} 2.0
tidewire_loop_lateness_seconds_bucket{le="0.001"} 10.0
tidewire_loop_lateness_seconds_bucket{le="0.05"} 10.0
tidewire_loop_lateness_seconds_bucket{le="+Inf"} 10.0
"""
AFTER = """
tidewire_closes_total{code="3012"} 4.0
tidewire_loop_lateness_seconds_bucket{le="0.001"} 108.0
tidewire_loop_lateness_seconds_bucket{le="0.05"} 110.0
tidewire_loop_lateness_seconds_bucket{le="+Inf"} 110.0
"""


def test_report_without_requirements_has_failed() -> None:
    report = Report("1", "nothing was looked at")
    assert report.verdict is Verdict.FAIL


def test_report_fails_by_what_does_not_hold_and_says_it() -> None:
    report = Report("6", "broker away")
    report.require("no gap", True, "0 gaps")
    assert report.to_json()["verdict"] == "PASS"
    report.require("caught up", False, "never")
    assert report.to_json()["verdict"] == "FAIL"
    assert "not met: caught up (never)" in table([report])


def test_timing_counts_only_where_it_is_asked_for() -> None:
    report = Report("12", "one channel")
    report.require("coalesced", True, "8 frames a second")
    report.require("loop lag", False, "90 ms", is_timing=True)
    assert [r.name for r in report.broken()] == ["loop lag"]
    assert report.broken(with_timing=False) == []


def test_exposition_sums_children_by_their_labels() -> None:
    said = parse(BEFORE)
    assert said.total("closes_total") == 3
    assert said.total("closes_total", code="3012") == 1
    assert said.by_label("closes_total", "code") == {"3012": 1, "1006": 2}
    assert said.total("unheard_of") == 0


def test_quantile_of_a_histogram_is_of_what_came_in_between() -> None:
    before, after = parse(BEFORE), parse(AFTER)
    assert quantile_bound(before, after, "loop_lateness_seconds", 0.5) == 0.001
    assert quantile_bound(before, after, "loop_lateness_seconds", 0.99) == 0.05
    assert math.isnan(quantile_bound(after, after, "loop_lateness_seconds", 0.99))


def test_every_drill_that_can_be_run_yet_is_there_and_can_be_seen_to_fail() -> None:
    numbers = [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]
    names = ["1", "1u", *map(str, numbers[1:])]
    assert [drill.name for drill in DRILLS] == names
    assert all(drill.sabotage for drill in DRILLS)


def test_quantile_of_nothing_is_no_number() -> None:
    assert math.isnan(quantile([], 0.99))
    assert quantile([3.0, 1.0, 2.0], 0.5) == 2.0


def test_one_stall_does_not_decide_what_is_typical() -> None:
    ages = [9.0 if at == 5 else 0.1 for at in range(20)]
    arrivals = [Arrival(float(at), "chat", age, age, 1, 0) for at, age in enumerate(ages)]
    assert typical(arrivals, 0.0, 20.0, 0.99) == 0.1
    assert typical(arrivals, 4.0, 6.0, 0.99) == 9.0
