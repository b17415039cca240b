"""The load client's JSON becomes frozen figures."""

import dataclasses

import orjson
import pytest

from tidewire.bench.load_client import Report, parse_report

LATENCY = {
    "count": 3,
    "mean_ms": 1.5,
    "p50_ms": 1.0,
    "p90_ms": 2.0,
    "p99_ms": 2.5,
    "p999_ms": 2.5,
    "max_ms": 2.625,
}
GROUP = {
    "connections": 2,
    "frames": 3,
    "events": 4,
    "bytes": 500,
    "least_frames": 1,
    "most_frames": 2,
    "early_stamps": 1,
    "latency": LATENCY,
    "latency_most_by_connection": {"p50_ms": 1.0, "p99_ms": 2.5, "max_ms": 2.625},
}
REPORT = {
    "event": "report",
    "seconds": 2.0,
    "open": 3,
    "ready": 2,
    "frames": 6,
    "events": 8,
    "bytes": 1000,
    "pings": 1,
    "closes": {"1006": 1, "4001": 2},
    "refused": {"unreachable": 1, "503": 7},
    "errors": {"oversized_frame": 1},
    "handshakes": {"count": 9, "per_second": 4.5, "latency": LATENCY},
    "groups": {"normal": GROUP, "slow": {**GROUP, "frames": 1}},
    "cpu": {"user": 0.25, "system": 0.5},
}


def parsed() -> Report:
    return parse_report(orjson.dumps(REPORT))


def test_figures_have_names() -> None:
    report = parsed()
    assert (report.seconds, report.open, report.ready, report.pings) == (2.0, 3, 2, 1)
    assert report.handshakes.per_second == 4.5
    assert report.normal.latency.p999_ms == 2.5
    assert report.normal.latency_most_by_connection.max_ms == 2.625
    assert (report.normal.frames, report.slow.frames) == (3, 1)


def test_close_codes_are_numbers_and_refusals_keep_their_reason() -> None:
    assert parsed().closes == {1006: 1, 4001: 2}
    assert parsed().refused == {"unreachable": 1, "503": 7}
    assert parsed().errors == {"oversized_frame": 1}


def test_cpu_is_user_and_system_time() -> None:
    assert parsed().cpu.total == 0.75


def test_report_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        parsed().frames = 0  # type: ignore[misc] # what the test is about


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        orjson.dumps({**REPORT, "event": "ready"}),
        orjson.dumps({**REPORT, "unheard_of": 1}),
        orjson.dumps({name: value for name, value in REPORT.items() if name != "frames"}),
    ],
)
def test_other_lines_are_no_reports(line: bytes) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        parse_report(line)
