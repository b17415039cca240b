"""docs/metrics.md says what the table says."""

from pathlib import Path

from tidewire.telemetry.metric_docs import COMMAND, metrics_page
from tidewire.telemetry.metric_table import EVERY_SERVICE, METRICS, PREFIX

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"


def rows_by_service() -> dict[str, list[list[str]]]:
    rows: dict[str, list[list[str]]] = {}
    for section in metrics_page().split("\n## ")[1:]:
        heading, *lines = section.splitlines()
        table = [line for line in lines if line.startswith("| `")]
        rows[heading.lower()] = [line.strip("| ").split(" | ") for line in table]
    return rows


def test_the_committed_page_is_the_generated_one() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == metrics_page(), COMMAND


def test_every_metric_is_there_once_beneath_its_service() -> None:
    rows = rows_by_service()
    for service, heading in [
        *((spec.service, spec.service) for spec in METRICS if spec.service != EVERY_SERVICE),
        (EVERY_SERVICE, "every service"),
    ]:
        names = [row[0].strip("`") for row in rows[heading]]
        assert names == [PREFIX + spec.name for spec in METRICS if spec.service == service]


def test_a_row_tells_type_labels_unit_and_meaning() -> None:
    rows = {row[0].strip("`"): row for table in rows_by_service().values() for row in table}
    kind, labels, unit, meaning = rows["tidewire_backfills_total"][1:]
    assert (kind, labels) == ("counter", "`outcome`: `read`, `deleted`, `failed`")
    assert (unit, meaning[:5]) == ("", "Reads")
    assert rows["tidewire_freshness_seconds"][2].startswith("`le`: 0.001, 0.0025,")
    assert rows["tidewire_freshness_seconds"][3] == "seconds"
    assert rows["tidewire_queued_bytes_max"][3] == "bytes"
    assert rows["tidewire_draining"][3] == "0 or 1"


def test_no_cell_breaks_its_table() -> None:
    assert all(len(row) == 5 for table in rows_by_service().values() for row in table)
