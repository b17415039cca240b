"""Stand-ins for the services of `tidewire dev`, to see what the supervisor does with bad ones.

STAND_IN_<NAME> in the environment is how one behaves: ``deaf`` ignores the signals that end it, ``dies``
ends once the file STAND_IN_ALIVE is gone, ``refuses`` never starts. The real services have suites of their own.
"""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

__all__ = ["serve", "stand_ins"]

TESTS = Path(__file__).resolve().parents[1]
SERVICES = ("gateway", "publisher", "registry", "router", "flights", "flights/following")
STREAMS = "streams: {flights: {topic: flights, table: true, partitions: 2}}\n"
FILES = """
from pathlib import Path
HERE = Path(__file__).parent
def dashboard_dir(): return HERE
def streams_file(): return HERE / "streams.yaml"
"""


def stand_ins(folder: Path, **behaviours: str) -> Mapping[str, str]:
    """Write packages that take the services' places; the environment that makes them found first."""
    for name in SERVICES:
        package = folder / f"tidewire_{name}"
        package.mkdir(parents=True)
        name = package.name.removeprefix("tidewire_")
        (package / "__init__.py").write_text(FILES)
        (package / "streams.yaml").write_text(STREAMS)
        (package / "__main__.py").write_text(
            f"from harness.stand_in import serve\nserve({name!r})\n"
        )
    alive = folder / "alive"
    alive.touch()
    return {
        "PYTHONPATH": f"{folder}:{TESTS}",
        "STAND_IN_ALIVE": str(alive),
        **{f"STAND_IN_{name.upper()}": behaviour for name, behaviour in behaviours.items()},
    }


def serve(name: str) -> None:
    """Answer as the service does, until SIGTERM, SIGINT or as its behaviour says."""
    behaviour = os.environ.get(f"STAND_IN_{name.upper()}", "")
    if behaviour == "refuses":
        sys.exit(f"{name}: the setting COLOUR is wrong: choose red")
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN if behaviour == "deaf" else note)
    with _listening(name, "PORT") as public, _listening(name, "INTERNAL_PORT") as internal:
        sys.stdout.write(json.dumps(_ready(public, internal)) + "\n")
        sys.stdout.flush()
        alive = Path(os.environ["STAND_IN_ALIVE"])
        while not asked:
            if behaviour == "dies" and not alive.exists():
                sys.exit("the disk caught fire")
            time.sleep(0.02)


def _listening(name: str, setting: str) -> socket.socket:
    port = int(os.environ.get(f"TIDEWIRE_{name.upper()}__{setting}", "0"))
    return socket.create_server(("127.0.0.1", port))


def _ready(public: socket.socket, internal: socket.socket) -> dict[str, object]:
    address = f"127.0.0.1:{public.getsockname()[1]}"
    return {
        "event": "ready",
        "http": f"http://{address}",
        "ws": f"ws://{address}/v1/ws",
        "internal": f"http://127.0.0.1:{internal.getsockname()[1]}",
        "pid": os.getpid(),
    }
