"""Hold the ratios of a run against recorded ones: ``python -m benchmarks.gateway.check NEW RECORDED``."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["fallen", "main"]

_TOLERANCE = 0.15
_USAGE = 2


def fallen(new: Mapping[str, Any], recorded: Mapping[str, Any]) -> list[str]:
    """A sentence for each ratio that is worse than the recorded one by more than the tolerance.

    Absolute values are another machine's or another day's, and are not looked at.
    """
    before = {(f["id"], f["name"]): f for f in recorded["figures"] if f["kind"] == "ratio"}
    told = []
    for figure in new["figures"]:
        then = before.get((figure["id"], figure["name"]))
        if then is None or not then["median"]:
            continue
        change = figure["median"] / then["median"] - 1
        loss = -change if figure["goal"] == "at least" else change
        if loss > _TOLERANCE:
            told.append(
                f"{figure['id']} {figure['name']}: {figure['median']:.3g} against "
                f"{then['median']:.3g} recorded, worse by {loss:.0%}"
            )
    return told


def main() -> int:
    """0 where nothing fell, 1 where something did; each is named."""
    if len(sys.argv) != 3:
        sys.stderr.write("usage: python -m benchmarks.gateway.check NEW.json RECORDED.json\n")
        return _USAGE
    new, recorded = (json.loads(Path(path).read_text()) for path in sys.argv[1:])
    told = fallen(new, recorded)
    for line in told:
        sys.stderr.write(line + "\n")
    compared = {(f["id"], f["name"]) for f in recorded["figures"] if f["kind"] == "ratio"} & {
        (f["id"], f["name"]) for f in new["figures"]
    }
    sys.stdout.write(
        f"{len(compared)} ratios compared, {len(told)} fell by more than {_TOLERANCE:.0%}\n"
    )
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main())
