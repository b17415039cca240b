"""Run measurements, readers interleaved, and write figures: ``python -m benchmarks.readers --help``."""

import argparse
import sys
from pathlib import Path

from .plan import MEASUREMENTS
from .report import machine, write_report

__all__ = ["main"]


def main() -> int:
    options = _options()
    about = machine()
    rows = [row for what in options.what for row in MEASUREMENTS[what](options.runs)]
    write_report(options.out, rows, about)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(".tidewire/bench-readers"))
    parser.add_argument("--what", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
