"""Whom a run tells what happens."""

from typing import Protocol

from .data_dir import DataDir
from .running import Running

__all__ = ["Report"]


class Report(Protocol):
    def step(self, part: str, text: str) -> None:
        """Something that is done, on the way to ready or later."""
        ...

    def warn(self, text: str) -> None:
        """Something went wrong that the run repairs by itself."""
        ...

    def ready(self, running: Running, data_dir: DataDir) -> None:
        """Every part answers; told once."""
        ...
