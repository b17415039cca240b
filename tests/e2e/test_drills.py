"""The drills in small: real processes, real kills, Apache Kafka. Only what must hold on any machine counts."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drills.broker import SwitchedKafka
from drills.drill import Drill, run_drill
from drills.scenarios import DRILLS
from drills.site import Scale, Site

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]


@contextmanager
def own_kafka(folder: Path) -> Iterator[SwitchedKafka]:
    kafka = SwitchedKafka(folder)
    kafka.on()
    try:
        yield kafka
    finally:
        kafka.off()


def run_short(drill: Drill, folder: Path, bootstrap: str, kafka: SwitchedKafka | None) -> None:
    site = Site(folder / "drill", bootstrap, Scale(is_short=True), kafka=kafka)
    report = run_drill(drill, site)
    assert not report.broken(with_timing=False), report.figures


@pytest.mark.parametrize(
    "drill", [d for d in DRILLS if not d.switches_broker], ids=lambda drill: drill.title
)
def test_system_survives(drill: Drill, real_kafka: str, tmp_path: Path) -> None:
    run_short(drill, tmp_path, real_kafka, None)


@pytest.mark.parametrize(
    "drill", [d for d in DRILLS if d.switches_broker], ids=lambda drill: drill.title
)
def test_system_survives_without_its_broker(drill: Drill, tmp_path: Path) -> None:
    with own_kafka(tmp_path / "broker") as kafka:
        run_short(drill, tmp_path, kafka.bootstrap, kafka)
