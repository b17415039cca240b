"""Reports of load clients become figures, sentences, tables and a document."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from rich.console import Console

from tidewire.bench.live.document import document
from tidewire.bench.live.figures import (
    ChurnSample,
    Outcome,
    Sample,
    Spent,
    churn_figures,
    figures_of,
)
from tidewire.bench.live.plan import Plan, Publication
from tidewire.bench.live.probe import Granted
from tidewire.bench.live.publishing import Published
from tidewire.bench.live.remarks import remarks
from tidewire.bench.live.sites import ProcessMeter, Site
from tidewire.bench.load_report import Cpu, Group, Handshakes, Largest, Latency, Report
from tidewire.cli.bench_report import rows, tables

PLAN = Plan(channel="flights", connections=10, seconds=2.0)


def latency(p50: float, p99: float, most: float, count: int = 100) -> Latency:
    return Latency(
        count=count, mean_ms=p50, p50_ms=p50, p90_ms=p99, p99_ms=p99, p999_ms=most, max_ms=most
    )


def report(*, frames: int = 100, events: int = 400, p50: float = 5.0, **options: Any) -> Report:
    seen = latency(p50, 2 * p50, 3 * p50, count=events)
    group = Group(
        connections=5,
        frames=frames,
        events=events,
        bytes=1000 * frames,
        least_frames=frames // 5,
        most_frames=frames // 5,
        early_stamps=options.pop("early", 0),
        latency=seen,
        latency_most_by_connection=Largest(p50_ms=2 * p50, p99_ms=3 * p50, max_ms=3 * p50),
    )
    given = {
        "seconds": 2.0,
        "open": 5,
        "ready": 5,
        "frames": frames,
        "events": events,
        "bytes": 1000 * frames,
        "pings": 0,
        "closes": {},
        "refused": {},
        "errors": {},
        "handshakes": Handshakes(count=50, per_second=25.0, latency=seen),
        "normal": group,
        "slow": replace(group, frames=0),
        "cpu": Cpu(user=0.1, system=0.3),
    }
    return Report(**{**given, **options})


def sample(url: str = "ws://a:1/v1/ws", spent: bool = True, **options: Any) -> Sample:
    found = report(**options)
    used = Spent(cpu_seconds=0.5, resident_idle=1000, resident_held=6000) if spent else None
    return Sample(Site(url, [ProcessMeter(7)]), 5, found, found, used, "" if spent else "no meter")


def outcome(**options: Any) -> Outcome:
    given = {"granted": Granted("latest", 250), "samples": [sample(), sample("ws://b:2/v1/ws")]}
    return Outcome(**{**given, **options})


def test_figures_of_all_are_sums_and_the_slowest_quantiles() -> None:
    figures = figures_of([sample(p50=5.0), sample(p50=7.0, frames=300)])
    assert (figures.connections, figures.frames, figures.events) == (10, 400, 800)
    assert figures.frames_per_second == 200.0
    assert figures.events_per_frame == 2.0
    assert (figures.latency.p50_ms, figures.latency.max_ms) == (7.0, 21.0)
    assert figures.latency.count == 800
    assert figures.worst_by_connection.p50_ms == 14.0
    assert (figures.least_frames, figures.most_frames) == (20, 60)


def test_cost_of_the_nodes_is_by_frame_and_connection() -> None:
    nodes = figures_of([sample(), sample()]).nodes
    assert nodes is not None
    assert (nodes.cpu_seconds, nodes.cores) == (1.0, 0.5)
    assert nodes.cpu_us_per_delivery == pytest.approx(5000.0)
    assert (nodes.resident_bytes, nodes.bytes_per_connection) == (12_000, 1000.0)


def test_cost_is_missing_where_one_site_has_none_and_says_why() -> None:
    figures = figures_of([sample(), sample(spent=False)])
    assert (figures.nodes, figures.unmetered) == (None, "no meter")


def test_load_client_is_told_by_its_busiest() -> None:
    load = figures_of([sample(), sample(cpu=Cpu(user=1.0, system=0.8))]).load
    assert load.cpu_seconds == pytest.approx(2.2)
    assert load.busiest_cores == pytest.approx(0.9)


def test_nothing_that_arrives_divides_by_nothing() -> None:
    figures = figures_of([sample(frames=0, events=0)])
    assert (figures.events_per_frame, figures.frames_per_second) == (0.0, 0.0)
    assert figures.nodes is not None
    assert figures.nodes.cpu_us_per_delivery is None


def test_handshakes_are_counted_and_costed() -> None:
    site = Site("ws://a:1/v1/ws")
    churn = churn_figures(
        [
            ChurnSample(site, 5, report(refused={"503": 2}, errors={"no_port": 1}), 0.25),
            ChurnSample(site, 5, report(refused={"503": 1}), 0.75),
        ]
    )
    assert (churn.handshakes, churn.per_second, churn.under_way) == (100, 50.0, 10)
    assert churn.cpu_us_per_handshake == pytest.approx(10_000.0)
    assert churn.refused == {"503": 3, "no_port": 1}
    unmetered = churn_figures([ChurnSample(site, 5, report(), None)])
    assert (unmetered.cpu_us_per_handshake, unmetered.cores) == (None, None)


def test_ordinary_run_has_nothing_to_remark() -> None:
    assert remarks(PLAN, outcome()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"is_interrupted": True}, "interrupted"),
        ({"samples": [sample(frames=0, events=0)]}, "nothing is published to flights"),
        ({"samples": [sample(closes={3008: 2, 1006: 1})]}, "1006 (1), 3008 too_slow (2)"),
        ({"samples": [sample(early=5)]}, "5 events are younger"),
        ({"samples": [sample(cpu=Cpu(user=1.0, system=0.9))]}, "95% of a core"),
        (
            {"churn": [ChurnSample(Site("ws://a/"), 5, report(refused={"503": 3}), None)]},
            "refused: 503 (3)",
        ),
    ],
)
def test_what_spoils_figures_is_said(options: dict[str, Any], said: str) -> None:
    found = remarks(PLAN, outcome(**options))
    assert len(found) == 1
    assert said in found[0]


PUBLISHING = replace(PLAN, publication=Publication(stream="flights", rate=40.0))


def test_events_that_are_missing_count_only_where_every_one_was_promised() -> None:
    published = Published(events=81, due=81, seconds=2.0, behind=0.0)
    for mode, count in (("every", 1), ("latest", 0)):
        found = remarks(PUBLISHING, outcome(granted=Granted(mode, 0), published=published))
        assert len(found) == count
    assert (
        "10 of 810 events did not arrive"
        in remarks(PUBLISHING, outcome(granted=Granted("every", 0), published=published))[0]
    )


def test_publisher_that_is_late_is_said() -> None:
    published = Published(events=80, due=90, seconds=2.0, behind=0.5)
    found = remarks(PUBLISHING, outcome(published=published))
    assert "80 of 90 events left" in found[0]


def test_document_has_everything_by_name() -> None:
    published = Published(events=80, due=80, seconds=2.0, behind=0.0)
    churn = [ChurnSample(Site("ws://a:1/v1/ws"), 5, report(), 0.25)]
    samples = [sample(closes={1006: 1}), sample("ws://b:2/v1/ws")]
    given = outcome(samples=samples, published=published, churn=churn)
    found = orjson.loads(orjson.dumps(document(PUBLISHING, given, {"cores": 2})))
    assert found.keys() == {
        "machine",
        "options",
        "interrupted",
        "figures",
        "sites",
        "published",
        "handshakes",
        "warnings",
    }
    assert found["machine"] == {"cores": 2}
    assert found["figures"]["closes"] == {"1006": 1}
    assert found["options"]["urls"] == ["ws://a:1/v1/ws", "ws://b:2/v1/ws"]
    assert (found["options"]["mode"], found["options"]["interval_ms"]) == ("latest", 250)
    assert found["figures"]["latency"]["p99_ms"] == 10.0
    assert [site["meters"] for site in found["sites"]] == [["process 7"], ["process 7"]]
    assert (found["published"]["arrivals"], found["published"]["per_second"]) == (800, 40.0)
    assert found["handshakes"]["handshakes"] == 50


def shown(plan: Plan, of: Outcome) -> str:
    console = Console(width=80, record=True, soft_wrap=True, quiet=False, file=None, no_color=True)
    with console.capture() as capture:
        for table in tables(plan, of):
            console.print(table)
    return capture.get()


def test_tables_tell_people_what_was_found() -> None:
    text = shown(PLAN, outcome())
    assert text.startswith("flights, mode latest, interval 250 ms; 2 addresses")
    for word in ("frames/s", "age of events, p50 / p99", "CPU a frame", "a:1", "b:2"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80


def test_single_site_has_one_table() -> None:
    assert "address  " not in shown(PLAN, outcome(samples=[sample()]))


def test_rows_say_why_something_is_missing() -> None:
    found = {name: told for name, _, told in rows(PLAN, outcome(samples=[sample(spent=False)]))}
    assert found["nodes"] == "no meter"
    empty = {name: told for name, _, told in rows(PLAN, outcome(samples=[sample(events=0)]))}
    assert empty["age of events"] == "no event arrived"


def test_rows_of_a_run_that_publishes_and_churns() -> None:
    published = Published(events=100, due=100, seconds=2.0, behind=0.0)
    churn = [ChurnSample(Site("ws://a:1/v1/ws"), 5, report(), 0.25)]
    found = {
        name: (value, told)
        for name, value, told in rows(PUBLISHING, outcome(published=published, churn=churn))
    }
    assert found["arrived"] == ("80.0%", "of events times connections, the rest coalesced")
    assert found["handshakes/s"][0] == "25"
    assert found["CPU a handshake"][0] == "5,000 µs"
