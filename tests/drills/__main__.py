"""Run the drills: ``python -m drills [--only 6,11] [--short] [--sabotage] [--folder DIR]``.

Prints a table and writes it as JSON beside the histories. Ends 1 where a drill fails; with ``--sabotage``,
where one does *not*.
"""

import argparse
import json
import os
import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from tidewire.dev.kafka_jars import KAFKA_VERSION

from .broker import SwitchedKafka
from .drill import Drill, run_drill
from .report import Report, Verdict, table
from .scenarios import DRILLS
from .site import Scale, Site, to_stderr


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    folder: Path = options.folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    scale = Scale(is_short=options.short, is_sabotaged=options.sabotage)
    kafka = SwitchedKafka(folder / "broker")
    kafka.on()
    try:
        reports = [_run(drill, folder, kafka, scale) for drill in _chosen(options.only)]
    finally:
        kafka.off()
    sys.stdout.write(table(reports) + "\n")
    (folder / "results.json").write_text(json.dumps(_results(reports, scale), indent=2) + "\n")
    sys.stdout.write(f"figures: {folder / 'results.json'}\n")
    unexpected = [report for report in reports if not _is_expected(report, scale)]
    for report in unexpected:
        sys.stdout.write(f"drill {report.drill} did not {_expected(scale)}\n")
    return 1 if unexpected else 0


def _is_expected(report: Report, scale: Scale) -> bool:
    """Sabotaged, a drill must come to its end and see that something does not hold."""
    if scale.is_sabotaged:
        return report.is_complete and report.verdict is Verdict.FAIL
    return report.verdict is Verdict.PASS


def _expected(scale: Scale) -> str:
    return "fail for what was turned off" if scale.is_sabotaged else "pass"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m drills", description=__doc__)
    parser.add_argument("--only", default="", help="numbers of drills, separated by commas")
    parser.add_argument("--short", action="store_true", help="small numbers and short times")
    parser.add_argument("--sabotage", action="store_true", help="turn the protection off")
    parser.add_argument("--folder", type=Path, default=Path("build/drills"))
    return parser


def _chosen(only: str) -> list[Drill]:
    if not only:
        return list(DRILLS)
    names = only.split(",")
    found = [drill for drill in DRILLS if {drill.name, str(drill.number)} & set(names)]
    assert found, f"none of {', '.join(drill.name for drill in DRILLS)} is among {only}"
    return found


def _run(drill: Drill, folder: Path, kafka: SwitchedKafka, scale: Scale) -> Report:
    tell = to_stderr(f"drill {drill.name:>3}")
    tell(drill.title + (f"; sabotaged: {drill.sabotage}" if scale.is_sabotaged else ""))
    site = Site(folder / f"drill-{drill.name:0>2}", kafka.bootstrap, scale, kafka=kafka, tell=tell)
    report = run_drill(drill, site)
    tell(report.verdict)
    kafka.ensure_on()
    return report


def _results(reports: Sequence[Report], scale: Scale) -> dict[str, object]:
    return {
        "machine": {
            "processors": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
            "kafka": KAFKA_VERSION,
        },
        "short": scale.is_short,
        "sabotaged": scale.is_sabotaged,
        "drills": [report.to_json() for report in reports],
    }


if __name__ == "__main__":
    sys.exit(main())
