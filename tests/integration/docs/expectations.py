"""What becomes of each block of code in the documents: run, checked, read only, or not run and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Final

from harness.markdown import Block

__all__ = [
    "BEFORE",
    "ELSEWHERE",
    "EXPECTED",
    "NO_RUN",
    "ORDER",
    "ROOT",
    "Expectation",
    "Way",
    "documents",
    "expectation_of",
    "reason_not_run",
    "way_of",
]

ROOT: Final = Path(__file__).parents[3]
ORDER: Final = ("docs/quickstart.md", "README.md", "docs/publishing.md", "docs/subscribing.md")
"""These come first, and in this order: the quickstart shows a stream that is new."""


class Way(Enum):
    RUN = auto()
    CHECK = auto()  # parsed, and judged by the models where it is a message or streams
    READ = auto()  # a diagram or what something prints: for people
    SKIP = auto()  # says why, in an attribute or in `NO_RUN`


RUN: Final = frozenset({"console", "sh", "python", "js", "html", "websocket"})
CHECK: Final = frozenset({"json", "yaml", "mermaid"})
READ: Final = frozenset({"", "text"})
ELSEWHERE: Final = {
    "capacity": "unit/docs/test_capacity.py",
    "promql": "unit/deploy/test_runbook.py",
}
"""Languages that another test looks after."""

PRODUCTION: Final = (
    "a process of production: it needs a certificate, keys or brokers that are not here"
)
NO_RUN: Final[Mapping[str, Mapping[str, str]]] = {
    "README.md": {"make test": "these are the tests"},
    "docs/configuration.md": {
        "partitons": "the faults of a file that is not shown",
        "tidewire gateway": PRODUCTION,
        "tidewire router": PRODUCTION,
    },
    "docs/drills.md": {
        "make drills": "takes half an hour; its numbers are tests/e2e/test_drills.py"
    },
    "docs/topics.md": {
        "kafka-1:9092": "shows a cluster of three brokers, and asks before it makes"
    },
    "docs/http-api.md": {"/internal/drain": "would drain the node that all other blocks need"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What to know of a block that ``has`` this text in it.

    ``prints``: what its output must have, in place of what stands below a command; ``hides``: what a page must not show in
    the end. ``first`` and ``last``: code before and after it that it needs to stand alone. ``meanwhile``: a command that
    is repeated until the output is there.
    """

    has: str
    prints: Sequence[str] = ()
    hides: Sequence[str] = ()
    first: str = ""
    last: str = ""
    meanwhile: str = ""
    is_endless: bool = False


WS: Final = "ws://127.0.0.1:8080/v1/ws"
PAID: Final = 'tidewire publish orders --key berlin/4711 --data \'{"total": 42, "state": "paid"}\''
USERS: Final = (
    "globalThis.notify = (all) => all.forEach(({ key, data }) => console.log(key, data.gate))"
)
TOKEN: Final = """
import { execFileSync } from 'node:child_process'
globalThis.fetchToken = () => execFileSync('tidewire', ['token', '--user', 'ann'], { encoding: 'utf8' }).trim()
"""
CLIENT: Final = f"""
import {{ Tidewire }} from 'tidewire'
globalThis.client = new Tidewire('{WS}', {{ getToken: () => fetchToken() }})
client.connect()
"""
PAGE: Final = (
    "globalThis.document = Object.assign(new EventTarget(), { visibilityState: 'visible' })"
)
HIDE: Final = """
orders.once('subscribed', () => {
  document.visibilityState = 'hidden'
  document.dispatchEvent(new Event('visibilitychange'))
  orders.on('subscribed', () => console.log('paused'))
})
"""

BEFORE: Final[Mapping[str, Sequence[str]]] = {
    "docs/subscribing.md": (
        PAID,
        "tidewire publish orders --key bern/1 --data '{\"total\": 5}'",
    ),
    "docs/operating.md": ("tidewire token --user bert > token.txt",),
}
"""Commands that make what a document takes for granted."""

EXPECTED: Final[Mapping[str, Sequence[Expectation]]] = {
    "README.md": (
        Expectation(
            has="render(flights.state)",
            first="globalThis.render = (state) => console.log('JFK/B6-704', state.has('JFK/B6-704'))",
            prints=["JFK/B6-704 true"],
            meanwhile='tidewire publish flights --key JFK/B6-704 --data \'{"status":"landed"}\'',
            is_endless=True,
        ),
        Expectation(has="print(batch)", prints=["JFK/B6-704"], is_endless=True),
        Expectation(has="/v1/channels/flights/JFK", prints=['"channel":"flights/JFK"', "B6-704"]),
        Expectation(has="tidewire nodes", prints=["1 of 64 slots held", "gateway-1"]),
        Expectation(
            has="publish_to_user",
            first="from tidewire.publishing import AsyncPublisher\n"
            'async with AsyncPublisher.connect("127.0.0.1:9092") as publisher:',
        ),
        Expectation(
            has="notify(events)",
            first=TOKEN + CLIENT + USERS,
            prints=["gate B7"],
            is_endless=True,
        ),
    ),
    "docs/quickstart.md": (Expectation(has="<!doctype html>", prints=["berlin/4712: open, 12"]),),
    "docs/publishing.md": (
        Expectation(has="shop/checkout", prints=["shop-orders 0"]),
        Expectation(has="partition_of", prints=["all agree"]),
    ),
    "docs/subscribing.md": (
        Expectation(
            has="orders.on('snapshot'",
            prints=["connected", "all true", "new 1"],
            meanwhile=PAID,
            is_endless=True,
        ),
        Expectation(has="for await", prints=["berlin/4711 {", "state: 'paid'"], is_endless=True),
        Expectation(has="batch.gap", prints=["snapshot berlin/4711 {"], is_endless=True),
        Expectation(has="Position.parse", prints=["recovered: changes"]),
        Expectation(
            has="websockets.asyncio", prints=["snapshot [{'key': 'bern/1'"], is_endless=True
        ),
        Expectation(has="jwt.encode", prints=["subscribed to @me"]),
        Expectation(has="getToken", first=TOKEN, prints=["subscribed to @me"], is_endless=True),
        Expectation(
            has="visibilitychange", first=PAGE, last=HIDE, prints=["paused"], is_endless=True
        ),
    ),
    "docs/http-api.md": (
        Expectation(has="/v1/push", prints=['"devices":']),
        Expectation(has="If-None-Match", prints=["200"]),
        Expectation(has="channels/flights/JFK", prints=['"channel":"flights/JFK"']),
        Expectation(has="tidewire nodes", prints=["1 of 64 slots held"]),
    ),
}


def documents() -> list[str]:
    """README.md and every page of docs/, as paths below the repository; those of `ORDER` first."""
    pages = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))
    return [*ORDER, *(page for page in pages if page not in ORDER)]


def way_of(document: str, block: Block) -> Way | None:
    """None: nobody has said what becomes of such a block."""
    if reason_not_run(document, block) is not None:
        return Way.SKIP
    language = block.language
    if language in RUN or (language in READ and block.text.startswith("$ ")):
        return Way.RUN
    if language in CHECK:
        return Way.CHECK
    return Way.READ if language in READ or language in ELSEWHERE else None


def reason_not_run(document: str, block: Block) -> str | None:
    if "no-run" in block.attributes:
        return block.attributes["no-run"]
    known = NO_RUN.get(document, {})
    return next((reason for has, reason in known.items() if has in block.text), None)


def expectation_of(document: str, block: Block) -> Expectation | None:
    known = EXPECTED.get(document, ())
    return next((expected for expected in known if expected.has in block.text), None)
