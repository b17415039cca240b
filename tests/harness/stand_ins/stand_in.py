"""A part of `tidewire dev` that answers as the real one does, and misbehaves when told to.

STAND_IN_<NAME> is one of: deaf (ignores SIGTERM), dies (ends when its file is removed), refuses (never
starts). The real parts have suites of their own; these show what the supervisor does with bad ones.
"""

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from types import FrameType

__all__ = ["serve"]


def serve(name: str, port: int = 0) -> None:
    behaviour = os.environ.get(f"STAND_IN_{name.upper()}", "")
    if behaviour == "refuses":
        sys.exit(f"{name}: the setting COLOUR is wrong: choose red")
    end, awake = os.pipe()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if behaviour != "deaf":
            os.write(awake, b"x")

    signal.signal(signal.SIGTERM, stop)
    with (
        socket.create_server(("127.0.0.1", port)) as public,
        socket.create_server(("127.0.0.1", 0)) as internal,
    ):
        address = f"127.0.0.1:{public.getsockname()[1]}"
        ready = {
            "event": "ready",
            "http": f"http://{address}",
            "ws": f"ws://{address}/v1/ws",
            "internal": f"http://127.0.0.1:{internal.getsockname()[1]}",
            "pid": os.getpid(),
        }
        print(json.dumps(ready), flush=True)
        if behaviour == "dies":
            _end_with(Path(os.environ["STAND_IN_ALIVE"]))
        os.read(end, 1)


def _end_with(alive: Path) -> None:
    def watch() -> None:
        while alive.exists():
            threading.Event().wait(0.02)
        print("the disk caught fire", file=sys.stderr, flush=True)
        os._exit(3)

    threading.Thread(target=watch, daemon=True).start()
