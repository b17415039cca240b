"""A process that sends nonsense: ``python -m drills.attacker CONFIG.json``, for so many seconds; nothing it does is in order.

Frames that RFC 6455 forbids, frames whose messages are mutated ones of the protocol, requests whose lines, headers and bodies
are mutated. Writes how many of each it sent to ``counts``.
"""

import contextlib
import json
import random
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from fuzz.seeds import SEEDS
from fuzz.words import NASTY, WORDS
from integration.hostile.wire import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Wire,
    frame,
    hello_bytes,
    wired,
)

__all__ = ["Attack", "main"]

PATIENCE = 0.2
"""Seconds for an answer: many an attack has none coming."""
OPCODES = (CONT, TEXT, BINARY, 3, 7, CLOSE, PING, PONG, 11, 15)
AT_ONCE = 8
MOST_FRAMES = 8
MOST_MUTATIONS = 4
_LENGTHS = (None, None, None, 0, 125, 1 << 16, 1 << 31, (1 << 63) - 1, (1 << 64) - 1)
_GATEWAY_PATHS = ("/v1/ws", "/v1/channels/", "/", "/%00", "/v1/channels/%ff", "/../../etc/passwd")
_PUBLISHER_PATHS = ("/v1/events/", "/v1/users/", "/")
_METHODS = ("GET", "POST", "PUT", "OPTIONS", "BREW", "get", "")


@dataclass(frozen=True, slots=True)
class Attack:
    """``stream`` is one that may be published to. Everything is by chance that begins with ``seed``."""

    gateway: str
    publisher: str
    stream: str
    seconds: float
    seed: int
    counts: str


def main(config: Path) -> int:
    attack = Attack(**json.loads(config.read_text()))
    ends_at = time.monotonic() + attack.seconds
    sys.stdout.write('{"event":"ready"}\n')
    sys.stdout.flush()
    chances = [random.Random(attack.seed * AT_ONCE + n) for n in range(AT_ONCE)]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        sent = threads.map(lambda chance: _attack(attack, chance, ends_at), chances)
        Path(attack.counts).write_text(json.dumps(sum(sent, Counter[str]())))
    return 0


def _attack(attack: Attack, chance: random.Random, ends_at: float) -> Counter[str]:
    kinds: Sequence[Callable[[Attack, random.Random], None]] = (
        _broken_frames,
        _mutated_messages,
        _mutated_messages,
        _requests_to_gateway,
        _requests_to_publisher,
        _requests_to_publisher,
    )
    sent: Counter[str] = Counter()
    while time.monotonic() < ends_at:
        kind = chance.choice(kinds)
        # An end without an answer is one: `Wire` asserts that there is more where an answer is begun.
        with contextlib.suppress(ConnectionError, TimeoutError, AssertionError):
            kind(attack, chance)
        sent[kind.__name__.strip("_")] += 1
    return sent


# WebSocket


def _broken_frames(attack: Attack, chance: random.Random) -> None:
    """Any opcode, bits, mask and length, before or after a `hello`."""
    with _upgraded(attack, chance) as wire:
        for _ in range(chance.randint(1, MOST_FRAMES)):
            wire.send(
                frame(
                    chance.choice(OPCODES),
                    chance.randbytes(chance.choice((0, 1, 2, 125, 126, 4000))),
                    fin=chance.random() < 0.7,
                    reserved=chance.choice((0, 0, 0, 1, 4, 7)),
                    is_masked=chance.random() < 0.9,
                    length=chance.choice(_LENGTHS),
                )
            )
        _hear(wire)


def _mutated_messages(attack: Attack, chance: random.Random) -> None:
    """Frames that are sound, with messages that are nearly so."""
    with _upgraded(attack, chance) as wire:
        for _ in range(chance.randint(1, MOST_FRAMES)):
            kind = TEXT if chance.random() < 0.9 else BINARY
            wire.send(frame(kind, _mutated(chance.choice(SEEDS["frames"]), chance)))
        _hear(wire)


@contextlib.contextmanager
def _upgraded(attack: Attack, chance: random.Random) -> Iterator[Wire]:
    with wired(attack.gateway) as wire:
        wire.sock.settimeout(PATIENCE)
        wire.upgrade()
        if chance.random() < 0.7:
            wire.send(frame(TEXT, hello_bytes()))
        yield wire


# HTTP


def _requests_to_gateway(attack: Attack, chance: random.Random) -> None:
    path = chance.choice(_GATEWAY_PATHS).encode() + _mutated(
        chance.choice(SEEDS["channel"]), chance
    )
    _request(attack.gateway, chance, path, _mutated(chance.choice(SEEDS["token"]), chance))


def _requests_to_publisher(attack: Attack, chance: random.Random) -> None:
    """Now and then what it sends is an event."""
    path = chance.choice(_PUBLISHER_PATHS) + attack.stream
    seeds = SEEDS[chance.choice(("events", "publisher", "user_events"))]
    body = _mutated(chance.choice(seeds), chance)
    if chance.random() < 0.5:
        _request(attack.publisher, chance, path.encode(), body, method="POST", is_sound=True)
    else:
        _request(attack.publisher, chance, _mutated(path.encode(), chance), body)


def _request(
    url: str,
    chance: random.Random,
    path: bytes,
    body: bytes,
    *,
    method: str | None = None,
    is_sound: bool = False,
) -> None:
    first = (chance.choice(_METHODS) if method is None else method).encode()
    kind = chance.choice((b"application/json", b"application/cloudevents+json", b"text/plain"))
    lines = [first + b" " + path + b" HTTP/1.1", b"Host: x", b"Content-Type: " + kind]
    length = len(body) if is_sound else chance.choice((0, len(body), len(body) + 10, -1))
    lines.append(b"Content-Length: %d" % length)
    if not is_sound:
        lines += [_mutated(b"Authorization: Bearer x", chance), _mutated(b"X-A: b", chance)]
    with wired(url) as wire:
        wire.sock.settimeout(PATIENCE)
        wire.send(b"\r\n".join([*lines, b"", body]))
        wire.head()


def _hear(wire: Wire) -> None:
    """Until the node has no more to say."""
    with contextlib.suppress(AssertionError, socket.timeout):
        while wire.next() is not None:
            pass


def _mutated(seed: bytes, chance: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(chance.randint(0, MOST_MUTATIONS)):
        at = chance.randint(0, len(data))
        match chance.randrange(4):
            case 0:
                data[at:at] = chance.choice(NASTY)
            case 1:
                data[at:at] = chance.choice(WORDS)
            case 2:
                del data[at : at + chance.randint(1, 8)]
            case _:
                data[at : at + 1] = chance.randbytes(1)
    return bytes(data)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
