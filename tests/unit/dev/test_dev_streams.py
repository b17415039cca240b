"""The streams file of a run, its epoch, and the claim on the data directory."""

import sys
from pathlib import Path

import pytest

from tidewire.config.streams import Stream
from tidewire.config.streams_file import load_streams
from tidewire.dev.data_dir import DataDir, claimed
from tidewire.dev.embedded import embedded_broker
from tidewire.dev.errors import DataDirError, MissingProgramError
from tidewire.dev.streams import EmbeddedEpoch, merged, write_streams


def _file(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    example = _file(
        tmp_path / "example.yaml",
        "streams: {flights: {topic: flights, partitions: 6}, notices: {topic: notices}}",
    )
    own = _file(
        tmp_path / "own.yaml",
        "streams: {flights: {topic: mine, epoch: chosen}, prices: {topic: prices, table: true}}",
    )
    return example, own


def test_own_stream_holds_where_both_files_name_it(both: tuple[Path, Path]) -> None:
    streams = merged(*both).streams
    assert set(streams) == {"flights", "notices", "prices"}
    assert streams["flights"].topic == "mine"


def test_written_file_reads_back_with_the_epoch_where_none_was_chosen(
    both: tuple[Path, Path], tmp_path: Path
) -> None:
    streams = merged(*both)
    write_streams(DataDir(tmp_path), streams, epoch="random1")
    written = load_streams(DataDir(tmp_path).streams).streams
    assert written["prices"] == streams.streams["prices"].model_copy(update={"epoch": "random1"})
    assert written["flights"] == streams.streams["flights"]


def test_broker_with_topic_ids_leaves_epochs_alone(both: tuple[Path, Path], tmp_path: Path) -> None:
    write_streams(DataDir(tmp_path), merged(*both), epoch=None)
    written = load_streams(DataDir(tmp_path).streams).streams
    assert written["prices"].epoch == Stream(topic="x").epoch


def test_epoch_lives_on_only_when_the_broker_ended_in_order(tmp_path: Path) -> None:
    epochs = EmbeddedEpoch(DataDir(tmp_path))
    first = epochs.take()
    epochs.keep(first)
    assert epochs.take() == first
    assert epochs.take() != first  # nobody kept it: the broker may have lost records


def test_data_directory_has_one_holder_at_a_time(tmp_path: Path) -> None:
    with claimed(tmp_path / "data") as data_dir:
        with pytest.raises(DataDirError, match="another tidewire dev"), claimed(data_dir.root):
            pytest.fail("two hold it")
        assert data_dir.root.is_dir()
    with claimed(tmp_path / "data"):
        pass


def test_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    _file(tmp_path / "file", "")
    with (
        pytest.raises(DataDirError, match=r"cannot be used .*choose another with --data-dir"),
        claimed(tmp_path / "file" / "data"),
    ):
        pytest.fail("it was made")


def test_embedded_broker_that_is_not_installed_names_both_cures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "noida_db", None)
    with (
        pytest.raises(MissingProgramError, match=r"tidewire\[embedded\].*BROKER=kafka"),
        embedded_broker(tmp_path),
    ):
        pytest.fail("it started")
