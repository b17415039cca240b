"""One measurement in a process of its own: ``child WHAT ARGUMENTS`` prints one line of JSON."""

import asyncio
import contextlib
import gc
import json
import os
import sys
from typing import Any

import uvloop

from . import away, load, storm, traffic, write_path

__all__ = ["main"]

_MEASUREMENTS: dict[str, Any] = {
    "load": load.measure,
    "write_path": write_path.measure,
    "storm": storm.measure,
    "away": away.measure,
}


def main() -> None:
    what, given = sys.argv[1], json.loads(sys.argv[2])
    if cores := given.pop("cores", None):
        os.sched_setaffinity(0, cores)
    if priority := given.pop("priority", 0):
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, priority)
    if what == "pace":
        traffic.pace(**given)
        return
    gc.collect()  # as the gateway does once it has started
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    loop_factory = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    with asyncio.Runner(loop_factory=loop_factory[given.pop("loop", "uvloop")]) as runner:
        found = runner.run(_MEASUREMENTS[what](**given))
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
