"""Write ``tidewire.json`` anew: ``python -m deploy.grafana``."""

import json
import sys
from pathlib import Path

from .contents import ROWS, VARIABLES
from .queries import ALARMS
from .shapes import dashboard

__all__ = ["FILE", "rendered"]

FILE = Path(__file__).with_name("tidewire.json")


def rendered() -> str:
    """The file as it should be: a panel a line, so that a change shows which one it is."""
    document = dashboard("Tidewire", "tidewire", variables=VARIABLES, alarms=ALARMS, rows=ROWS)
    panels = ",\n".join(_line(panel) for panel in document["panels"])
    others = (f"{_line(key)}: {_line(document[key])}" for key in document if key != "panels")
    return "{\n" + ",\n".join(others) + f',\n"panels": [\n{panels}\n]\n}}\n'


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    FILE.write_text(rendered(), encoding="utf-8")
    sys.stdout.write(f"written: {FILE}\n")
