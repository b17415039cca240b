"""What each connection of a measurement says, and what is looked for in its frames (pure)."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from ..._version import __version__
from ...protocol.codes import SUBPROTOCOL, VERSION
from ..load_options import LoadOptions
from .plan import Plan

__all__ = ["CLIENT", "STAMP", "load_options"]

CLIENT: Final = f"tidewire-bench/{__version__}"
STAMP: Final = '"bench_at":'
"""Precedes the moment an event was due, in what the measurement publishes itself."""
_READY: Final = '"type":"subscribed"'


def load_options(
    plan: Plan, url: str, connections: int, tokens: Sequence[str], *, churn: bool = False
) -> LoadOptions:
    """Connections that subscribe without a snapshot, each with one of ``tokens`` if there are any.

    Their latency is the age of an event by its record's timestamp; where the plan publishes, it is from
    when the event was due, and events of others do not count.
    """
    own = plan.publication is not None
    return LoadOptions(
        url=url,
        connections=connections,
        connect_rate=0.0 if churn else plan.connect_rate * connections / plan.connections,
        subprotocol=SUBPROTOCOL,
        script=(_script(plan, is_known=bool(tokens)),),
        tokens=tokens,
        ready=_READY,
        churn=churn,
        event=STAMP if own else '"offset":[',
        stamp=STAMP if own else '"ts":',
        clock="monotonic-ns" if own else "unix-ms",
    )


def _script(plan: Plan, *, is_known: bool) -> str:
    hello: dict[str, Any] = {"client": CLIENT}
    if is_known:
        hello["token"] = "{token}"  # noqa: S105 - the load client fills it in
    wanted: dict[str, Any] = {"channel": plan.channel, "snapshot": False}
    if plan.mode is not None:
        wanted["mode"] = plan.mode
    if plan.interval_ms is not None:
        wanted["interval_ms"] = plan.interval_ms
    messages = [
        {"v": VERSION, "type": "hello", "id": 1, "payload": hello},
        {"v": VERSION, "type": "subscribe", "id": 2, "payload": wanted},
    ]
    return orjson.dumps(messages).decode()
