"""`tidewire gateway`: a gateway node, or several behind one port."""

from typing import Annotated

import typer

from .become import become

__all__ = ["register"]

NEEDED = ("fastapi", "httptools", "pydantic_settings", "structlog", "uvicorn", "uvloop")


def register(app: typer.Typer) -> None:
    app.command("gateway")(gateway)


def gateway(
    processes: Annotated[
        int,
        typer.Option(metavar="N", help="Nodes behind the one public port, 1 to 64 (Linux)."),
    ] = 1,
) -> None:
    """Run a gateway node, or several behind one port.

    SIGTERM drains it: clients are moved to other nodes. Ctrl-C ends it at once.

    TIDEWIRE_GATEWAY__… in the environment or in .env tells it what to do; only
    STREAMS has no default. `tidewire config show gateway` shows all of them.

        TIDEWIRE_GATEWAY__STREAMS=streams.yaml tidewire gateway

    A node uses little more than one core. With --processes there are N, each a
    process and a node of its own; the kernel spreads connections over them.
    They are named NODE-1 to NODE-N and have internal ports from INTERNAL_PORT
    on. One that ends by itself is started again while the others serve.

    Exit codes: 0 ended by a signal; 1 a failure that is a bug, with its trace;
    2 it cannot run as it is configured, the message says why and the cure.
    """
    become("gateway", NEEDED, ["--processes", str(processes)])
