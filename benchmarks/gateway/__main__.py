"""Measure the whole gateway beside limits and peers: ``python -m benchmarks.gateway --help``."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tidewire.bench.machine import describe_machine
from tidewire.dev.kafka_jars import KAFKA_VERSION
from tidewire.errors import TidewireError

from ..peers.peer_file import load_peers
from ..peers.peers import Peer, left_out
from .plan import QUICK, WHOLE, Plan
from .report import Results, include_tables, tables, write_results
from .rig import running_rig
from .scenarios import FIGURES, Scenario

__all__ = ["main"]

_ROOT = Path(__file__).parents[2]
_CENTRIFUGO = _ROOT / "benchmarks" / "peers" / "centrifugo" / "peer.toml"
_RECORDED = _ROOT / "benchmarks" / "gateway" / "results"
_DOCUMENT = _ROOT / "docs" / "performance.md"
_OUT = Path(".tidewire/bench")
_FAILED = 2


def main() -> int:
    options = _options()
    plan = QUICK if options.quick else WHOLE
    try:
        results = _measure(plan, _scenarios(options.only), _peers(options.peers))
    except TidewireError as error:
        sys.stderr.write(f"bench: {error}\n")
        return _FAILED
    if results.failures and options.record:
        sys.stderr.write("bench: nothing is recorded of a run in which something failed\n")
        options.record = False
    write_results(options.out, plan.name, results)
    if options.record:
        write_results(_RECORDED, plan.name, results)
    if options.record and plan is WHOLE and not options.only:
        include_tables(_DOCUMENT, results)
    sys.stdout.write(tables(results))
    sys.stderr.write(f"written to {options.out}/{plan.name}.json and .md\n")
    return _FAILED if results.failures else 0


def _measure(plan: Plan, scenarios: Sequence[Scenario], peers: Sequence[Peer]) -> Results:
    results = Results(describe_machine() | {"kafka": KAFKA_VERSION, "run": plan.name})
    began = time.monotonic()
    with running_rig() as rig:
        for number, scenario in enumerate(scenarios, 1):
            _tell(began, f"{scenario.__name__} ({number} of {len(scenarios)})")
            try:
                scenario(rig, plan, peers, results)
            except TidewireError as error:  # the others may still tell something
                results.failures.append(f"{scenario.__name__}: {error}")
                sys.stderr.write(f"bench: {results.failures[-1]}\n")
    _tell(began, "done")
    results.about["minutes"] = round((time.monotonic() - began) / 60, 1)
    return results


def _scenarios(names: Sequence[str]) -> list[Scenario]:
    """Each once, in the figures' order."""
    chosen = names or list(FIGURES)
    return list(dict.fromkeys(scenario for name in chosen for scenario in FIGURES[name]))


def _peers(files: Sequence[Path]) -> list[Peer]:
    """The peers of the files that can run here; the others are named."""
    peers = [peer for file in (_CENTRIFUGO, *files) for peer in load_peers(file)]
    for why in filter(None, map(left_out, peers)):
        sys.stderr.write(f"bench: {why}\n")
    return [peer for peer in peers if left_out(peer) is None]


def _tell(began: float, text: str) -> None:
    sys.stderr.write(f"{time.monotonic() - began:6.0f} s  {text}\n")
    sys.stderr.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three minutes instead of twenty")
    parser.add_argument(
        "--only", type=_names, default=[], metavar="B1,B7", help=f"some of {', '.join(FIGURES)}"
    )
    parser.add_argument(
        "--peers",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="further peers, as TOML",
    )
    parser.add_argument("--out", type=Path, default=_OUT, metavar="FOLDER")
    parser.add_argument(
        "--record",
        action="store_true",
        help="keep the figures; those of a whole run go into docs/performance.md too",
    )
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: known are {', '.join(FIGURES)}")
    return names


if __name__ == "__main__":
    sys.exit(main())
