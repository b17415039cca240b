"""What a drill is, and how one is run."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass

from tidewire.errors import TidewireError

from .report import Report
from .site import Site

__all__ = ["Drill", "run_drill"]


@dataclass(frozen=True, slots=True)
class Drill:
    """``sabotage`` says which protection is turned off to see the drill fail.

    ``switches_broker``: it needs a broker of its own. ``part`` tells drills of one number apart.
    """

    number: int
    title: str
    sabotage: str
    run: Callable[[Site, Report], None]
    switches_broker: bool = False
    part: str = ""

    @property
    def name(self) -> str:
        return f"{self.number}{self.part}"


def run_drill(drill: Drill, site: Site) -> Report:
    """Its report; a drill that cannot be carried to its end has failed."""
    report = Report(drill.name, drill.title)
    try:
        with site:
            drill.run(site, report)
        report.is_complete = True
    except (AssertionError, OSError, TidewireError) as error:
        traceback.print_exc()
        report.require("the drill came to its end", False, f"{type(error).__name__}: {error}")
    return report
