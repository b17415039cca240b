"""The end every drill has: publishing ends, quiet, clients stop, the log is read back, the checker judges."""

import json
import time
from collections.abc import Iterator, Sequence

from histories.checking import Verdict, check
from histories.entries import LogEntry, Published, Run, Topic, digest
from histories.writing import write_log, write_run

from .poison import is_poison
from .report import Report
from .sightings import Sighting, see
from .site import Site, StreamSpec
from .workers import Worker

__all__ = ["conclude", "judge", "keep_log"]


def keep_log(site: Site, stream: str) -> None:
    """Add what a stream's topic holds now to the history; call it before records are taken away too."""
    write_log(site.histories, _entries(site, site.streams[stream]))


def conclude(
    site: Site,
    report: Report,
    *,
    publishers: Sequence[Worker],
    loads: Sequence[Worker],
    most_bytes: int | None = None,
) -> list[Sighting]:
    """What the clients saw, once the checker has judged it."""
    for publisher in publishers:
        publisher.finish()
    quiet_at = time.monotonic()
    site.settle()
    for load in loads:
        load.end_soon()
    for load in loads:
        load.wait()
    for stream in site.streams:
        keep_log(site, stream)
    write_run(site.histories, Run(quiet_at=quiet_at, most_bytes=most_bytes))
    judge(site, report)
    return see(site.histories)


def _entries(site: Site, spec: StreamSpec) -> Iterator[LogEntry]:
    epoch = site.topics.epoch(spec.topic)
    yield Topic(spec.name, epoch, site.topics.partitions(spec.topic), "key-prefix")
    for record in site.topics.read_back(spec.topic):
        if is_poison(record):
            continue
        assert record.key is not None
        yield Published(
            stream=spec.name,
            epoch=epoch,
            partition=record.partition,
            offset=record.offset,
            key=record.key.decode(),
            ts=record.timestamp_ms,
            digest=digest(record.value),
        )


def judge(site: Site, report: Report) -> Verdict:
    """What the checker says of the history, and the report with it."""
    site.say("the checker reads the history")
    verdict = check(site.histories)
    (site.folder / "verdict.json").write_text(json.dumps(verdict.to_json(), indent=2) + "\n")
    counts = verdict.findings.counts
    said = ", ".join(f"{rule} {count}" for rule, count in counts.most_common())
    first = f"; first: {verdict.findings.first[0]}" if verdict.findings.first else ""
    report.figure("events seen", verdict.total.events)
    report.require("the checker finds nothing", verdict.is_clean, said + first)
    return verdict
