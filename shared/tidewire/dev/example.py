"""Files that a run serves: the flights example's streams and page, and what the page is told."""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol, cast

from .data_dir import DataDir
from .errors import DataDirError, MissingProgramError
from .ports import LOOPBACK

__all__ = ["FlightsFiles", "flights_files", "page_told"]

PACKAGE: Final = "tidewire_flights"


class FlightsFiles(Protocol):
    """What the example's package says about itself; it depends on Tidewire, not the other way."""

    def dashboard_dir(self) -> Path: ...

    def streams_file(self) -> Path: ...


def flights_files() -> FlightsFiles:
    try:
        return cast("FlightsFiles", importlib.import_module(PACKAGE))
    except ModuleNotFoundError as error:
        if error.name != PACKAGE:
            raise
        raise MissingProgramError(
            "the flights example is not installed: pip install ./examples/flights in a checkout, "
            "or start with --example none --streams FILE"
        ) from error


def page_told(data_dir: DataDir, following_port: int) -> Mapping[str, Path]:
    """Tell the example's page where its own service answers; URL prefix → folder to serve for it."""
    folder = data_dir.root / "example" / "run"
    told = {"following": f"http://{LOOPBACK}:{following_port}"}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / ".example.json"
        draft.write_text(json.dumps(told))
        draft.replace(folder / "example.json")
    except OSError as error:
        raise DataDirError(f"cannot write {folder}: {error.strerror}") from error
    return {"/run/": folder}
