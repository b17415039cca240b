"""The streams of a run: the example's and the user's, with the epoch of the embedded broker."""

import secrets
from pathlib import Path
from typing import Any, Final

import yaml

from ..config.streams import Stream, StreamsFile
from ..config.streams_file import load_streams
from .data_dir import DataDir
from .errors import DataDirError

__all__ = ["EmbeddedEpoch", "merged", "write_streams"]

UNSET_EPOCH: Final = Stream.model_fields["epoch"].default


def merged(example: Path | None, own: Path | None) -> StreamsFile:
    """The streams of both files; where both name a stream, the user's own holds."""
    streams: dict[str, Stream] = {}
    for path in (example, own):
        if path is not None:
            streams |= load_streams(path).streams
    return StreamsFile(streams=streams)


def write_streams(data_dir: DataDir, streams: StreamsFile, *, epoch: str | None) -> None:
    """Write the file that every part reads; ``epoch`` goes to the streams that name none."""
    resolved = {name: _resolved(stream, epoch) for name, stream in streams.streams.items()}
    text = yaml.safe_dump({"streams": resolved}, sort_keys=False, allow_unicode=True)
    draft = data_dir.streams.with_suffix(".draft")
    try:
        draft.write_text(f"# Written by tidewire dev at its start; changes are lost.\n{text}")
        draft.replace(data_dir.streams)
    except OSError as error:
        raise DataDirError(f"cannot write {data_dir.streams}: {error.strerror}") from error


def _resolved(stream: Stream, epoch: str | None) -> dict[str, Any]:
    if epoch is not None and stream.epoch == UNSET_EPOCH:
        stream = stream.model_copy(update={"epoch": epoch})
    return stream.model_dump(mode="json", exclude_defaults=True)


class EmbeddedEpoch:
    """A random word that changes whenever the embedded broker may have lost records.

    That broker has no topic ids and writes its records down every second or two: one that was killed
    comes back with smaller offsets, which must not be taken for positions of the same history.
    """

    def __init__(self, data_dir: DataDir) -> None:
        self._path = data_dir.epoch

    def take(self) -> str:
        """The epoch of the run that begins; only `keep` hands it on to the next one."""
        try:
            epoch = self._path.read_text().strip()
            self._path.unlink()
        except FileNotFoundError:
            epoch = ""
        except OSError as error:
            raise DataDirError(f"cannot use {self._path}: {error.strerror}") from error
        return epoch or secrets.token_hex(8)

    def keep(self, epoch: str) -> None:
        """Say that the broker ended in order, with everything written down."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(f"{epoch}\n")
