"""How a run starts the service of followed flights, and tells the example's page where it is."""

import json
import stat
from pathlib import Path

import pytest

from tidewire.dev.data_dir import DataDir
from tidewire.dev.errors import DataDirError
from tidewire.dev.example import page_told
from tidewire.dev.parts import Common, following_spec
from tidewire_flights import dashboard_dir


def test_service_is_told_its_port_its_files_and_whose_pages_may_call() -> None:
    common = Common(
        DataDir(Path("/data")),
        kafka="127.0.0.1:9",
        redis="redis://127.0.0.1:10",
        registry_port=11,
        static={},
        fetch_pause=0.02,
    )
    _, _, module, *arguments, last = following_spec(common, 8123).command
    assert module == "tidewire_flights.following"
    assert last == "--json"
    options = dict(zip(arguments[::2], arguments[1::2], strict=True))
    assert (options["--kafka"], options["--port"]) == ("127.0.0.1:9", "8123")
    assert options["--streams"] == "/data/streams.yaml"
    assert options["--token-key"] == "/data/token.key"
    assert options["--data"] == "/data/example/following.db"
    assert options["--run"] == "/data/ready.json"
    assert options["--fetch-pause"] == "0.02"


def test_page_is_told_the_service_s_address_of_this_run(tmp_path: Path) -> None:
    for port in (8123, 8124):
        static = page_told(DataDir(tmp_path), port)
    (prefix, folder), *_ = static.items()
    assert prefix == "/run/"
    assert [path.name for path in folder.iterdir()] == ["example.json"]
    told = json.loads((folder / "example.json").read_text())
    assert told == {"following": "http://127.0.0.1:8124"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "example").write_text("in the way")
    with pytest.raises(DataDirError, match="example"):
        page_told(DataDir(tmp_path), 8123)


def test_page_that_no_run_serves_is_told_of_no_service() -> None:
    default = dashboard_dir() / "run" / "example.json"
    assert json.loads(default.read_text()) == {}
    assert default.stat().st_mode & stat.S_IROTH
