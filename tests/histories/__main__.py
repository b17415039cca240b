"""``python -m histories FOLDER``: check a history, print what was found, end 1 on violations."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .checking import Verdict, check
from .figures import Figures

__all__ = ["main", "report_lines"]

_SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """0: nothing was broken, 1: something was, 2: this is no history."""
    parser = argparse.ArgumentParser(prog="histories", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path, help="write figures and violations there, too")
    parser.add_argument("--clients", action="store_true", help="a line for every client")
    options = parser.parse_args(arguments)
    try:
        verdict = check(options.folder)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.writelines(line + "\n" for line in report_lines(verdict, options.clients))
    if options.json is not None:
        options.json.write_text(json.dumps(verdict.to_json(), indent=2) + "\n")
    return 0 if verdict.is_clean else 1


def report_lines(verdict: Verdict, all_clients: bool = False) -> Iterator[str]:
    """The report as people read it."""
    rows = [*(verdict.clients if all_clients else ()), verdict.total]
    head = ("client", "events", "p50 s", "p99 s", "oldest s", "silent s", "not live s", "returns")
    yield "  ".join((f"{head[0]:<16}", *(f"{name:>10}" for name in head[1:])))
    for figures in rows:
        yield _row(figures)
    whole = verdict.total
    yield f"clients {len(verdict.clients)}, connections {whole.connections}, frames {whole.frames}"
    for name in ("recovered", "gaps", "states", "codes", "errors"):
        counts = getattr(whole, name)
        if counts:
            yield f"{name}: " + ", ".join(f"{word} {n}" for word, n in counts.most_common())
    if verdict.most_bytes:
        yield f"most bytes that waited for a connection: {verdict.most_bytes}"
    yield from _violations(verdict)


def _row(figures: Figures) -> str:
    numbers = (
        f"{figures.events}",
        f"{figures.age(0.5):.3f}",
        f"{figures.age(0.99):.3f}",
        f"{figures.age(1.0):.3f}",
        f"{figures.silence:.2f}",
        f"{figures.not_live:.2f}",
        f"{len(figures.returns)}",
    )
    return "  ".join((f"{figures.name:<16}", *(f"{number:>10}" for number in numbers)))


def _violations(verdict: Verdict) -> Iterator[str]:
    if verdict.is_clean:
        yield "nothing was broken"
        return
    for rule, count in verdict.findings.counts.most_common():
        yield f"BROKEN {rule}: {count} times"
    for violation in verdict.findings.first[:_SHOWN]:
        yield f"  {violation}"


if __name__ == "__main__":
    sys.exit(main())
