"""Read a history back: lines as entries, frames as the bytes that came."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from .entries import ClientEntry, LogEntry, Run, Sample

__all__ = ["client_files", "read_client", "read_log", "read_run", "read_samples"]

T = TypeVar("T")
_client_line = msgspec.json.Decoder[ClientEntry](ClientEntry)
_log_line = msgspec.json.Decoder[LogEntry](LogEntry)
_sample_line = msgspec.json.Decoder(Sample)


def client_files(folder: Path) -> list[Path]:
    """The files of all clients of a history, in order."""
    return sorted(folder.glob("*/*.jsonl"))


def read_client(path: Path) -> Iterator[ClientEntry]:
    """What one client wrote, in order."""
    return _lines(path, _client_line)


def read_log(folder: Path) -> Iterator[LogEntry]:
    return _lines(folder / "log.jsonl", _log_line)


def read_samples(folder: Path) -> Iterator[Sample]:
    path = folder / "samples.jsonl"
    return _lines(path, _sample_line) if path.exists() else iter(())


def read_run(folder: Path) -> Run:
    path = folder / "run.json"
    return msgspec.json.decode(path.read_bytes(), type=Run) if path.exists() else Run()


def _lines(path: Path, decoder: "msgspec.json.Decoder[T]") -> Iterator[T]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                yield decoder.decode(line)
            except msgspec.DecodeError as error:
                raise ValueError(f"{path}:{number}: {error}") from error
