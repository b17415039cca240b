"""Write a history: the part of one process, the log, what the run promised."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from .entries import ClientEntry, LogEntry, Run, Sample
from .wire import Heading, headings

__all__ = ["ClientRecord", "Recording", "StoredFrame", "write_log", "write_run", "write_samples"]

_BUFFER_BYTES = 16 * 1024
_REMEMBERED_BYTES = 8 * 1024 * 1024


class StoredFrame(NamedTuple):
    """Where a frame stands, and what it says; None where that is not the protocol."""

    start: int
    length: int
    headings: Sequence[Heading] | None


class Recording:
    """The part of one process; its clients share one file of frames.

    A frame that many clients get is stored once. Writes block for as long as a small append takes.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._frames = (folder / "frames").open("xb")
        self._size = 0
        self._stored: dict[bytes, StoredFrame] = {}  # oldest first
        self._remembered = 0
        self._clients: dict[str, ClientRecord] = {}

    def client(self, name: str) -> "ClientRecord":
        """The file of a client whose name no other client of this part has."""
        assert name not in self._clients, f"two clients are called {name}"
        record = ClientRecord(self._folder / f"{name}.jsonl")
        self._clients[name] = record
        return record

    def store(self, frame: bytes) -> StoredFrame:
        stored = self._stored.get(frame)
        if stored is None:
            stored = StoredFrame(self._size, len(frame), _headings_of(frame))
            self._frames.write(frame + b"\n")
            self._size += len(frame) + 1
            self._remember(frame, stored)
        return stored

    def flush(self) -> None:
        self._frames.flush()
        for client in self._clients.values():
            client.flush()

    def close(self) -> None:
        self.flush()
        self._frames.close()

    def _remember(self, frame: bytes, stored: StoredFrame) -> None:
        self._stored[frame] = stored
        self._remembered += len(frame)
        while self._remembered > _REMEMBERED_BYTES:
            oldest = next(iter(self._stored))
            del self._stored[oldest]
            self._remembered -= len(oldest)


class ClientRecord:
    """Lines of one client. No file stays open: there may be thousands of clients."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._encoder = msgspec.json.Encoder()
        self._buffer = bytearray()

    def note(self, entry: ClientEntry) -> None:
        self._buffer += self._encoder.encode(entry) + b"\n"
        if len(self._buffer) >= _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        with self._path.open("ab") as file:
            file.write(self._buffer)
        self._buffer.clear()


def write_log(folder: Path, entries: Iterable[LogEntry]) -> None:
    """Append to the log; a `Topic` comes before its records, the same record may come twice."""
    _append(folder / "log.jsonl", entries)


def write_samples(folder: Path, samples: Iterable[Sample]) -> None:
    _append(folder / "samples.jsonl", samples)


def write_run(folder: Path, run: Run) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_bytes(msgspec.json.encode(run))


def _append(path: Path, lines: Iterable[msgspec.Struct]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    encoder = msgspec.json.Encoder()
    with path.open("ab") as file:
        for line in lines:
            file.write(encoder.encode(line) + b"\n")


def _headings_of(frame: bytes) -> Sequence[Heading] | None:
    try:
        return headings(frame)
    except msgspec.DecodeError:
        return None
