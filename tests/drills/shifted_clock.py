"""A service whose wall clock jumps: ``python -m drills.shifted_clock SECONDS MODULE …``, told like the real one.

At SIGUSR1 `time.time` jumps by so many seconds, at the next one back, as where somebody sets the clock of a machine. The
monotonic clock goes on, as it does there.
"""

import runpy
import signal
import sys
import time
from collections.abc import Sequence

__all__ = ["main", "shifted"]


def shifted(shift: float | None, module: Sequence[str]) -> list[str]:
    """The arguments after ``python -m`` for a module and its arguments; None: its clock never jumps."""
    return [*module] if shift is None else ["drills.shifted_clock", str(shift), *module]


def main(shift: float, module: str) -> None:
    jumped = 0.0
    seconds, nanoseconds = time.time, time.time_ns

    def jump(*_: object) -> None:
        nonlocal jumped
        jumped = shift - jumped

    # Before anything of the service is imported, which may keep the function.
    time.time = lambda: seconds() + jumped
    time.time_ns = lambda: nanoseconds() + round(jumped * 1e9)
    signal.signal(signal.SIGUSR1, jump)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _, by, name, *rest = sys.argv
    sys.argv = [name, *rest]
    main(float(by), name)
