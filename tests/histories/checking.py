"""Check a history: every rule, every client, and the figures."""

import mmap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from .entries import Run, Sample
from .figures import Figures, total
from .frames import Frames
from .published import Log, build_log
from .reading import client_files, read_client, read_log, read_run, read_samples
from .violations import Findings, Rule, Violation
from .walking import walk

__all__ = ["Verdict", "check", "check_samples"]


class Verdict(NamedTuple):
    """What the checker found. ``total`` is of all clients together."""

    findings: Findings
    clients: Sequence[Figures]
    total: Figures
    most_bytes: int

    @property
    def is_clean(self) -> bool:
        return not self.findings.counts

    def to_json(self) -> dict[str, Any]:
        return {
            "violations": {str(rule): n for rule, n in self.findings.counts.items()},
            "first": [str(violation) for violation in self.findings.first],
            "clients": len(self.clients),
            "most_bytes": self.most_bytes,
            "total": self.total.to_json(),
        }


def check(folder: Path, run: Run | None = None) -> Verdict:
    """Read a whole history; ``run`` stands in for the one that was written. Raises ``ValueError``, ``OSError``.

    A history without clients is an error: it would prove anything.
    """
    run = run or read_run(folder)
    log = build_log(read_log(folder))
    findings = Findings()
    clients: list[Figures] = []
    for part, files in groupby(client_files(folder), key=lambda path: path.parent):
        clients += _part(part, list(files), log, findings=findings, quiet_at=run.quiet_at)
    if not clients:
        raise ValueError(f"{folder} has no clients")
    most_bytes = check_samples(read_samples(folder), run.most_bytes, findings)
    return Verdict(findings, clients, total(clients), most_bytes)


def check_samples(samples: Iterable[Sample], bound: int | None, findings: Findings) -> int:
    """Bytes per connection stay within the bound; the most there were."""
    most = 0
    for sample in samples:
        most = max(most, sample.bytes)
        if bound is not None and sample.bytes > bound:
            who = sample.connection or "a connection"
            text = f"{sample.bytes} bytes wait on {sample.node}, more than {bound}"
            findings.add(Violation(Rule.BYTES, who, "", sample.at, text))
    return most


def _part(
    folder: Path, files: Iterable[Path], log: Log, *, findings: Findings, quiet_at: float | None
) -> Iterator[Figures]:
    with _mapped(folder / "frames") as data:
        frames = Frames(data, log)
        for path in files:
            yield walk(read_client(path), frames, log, findings=findings, quiet_at=quiet_at)


@contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    if path.stat().st_size == 0:
        yield memoryview(b"")
        return
    # Read-only and shared: frames are parsed in place. Closing waits for nobody, so nothing may outlive it.
    with path.open("rb") as file:
        yield memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
