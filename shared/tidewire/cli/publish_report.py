"""What `tidewire publish --jsonl` tells while it runs."""

import sys
from types import TracebackType
from typing import Self

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ..errors import TidewireError
from ..kafka.records import RecordPosition
from .output import print_json, progress

__all__ = ["PublishReport"]

_MAX_TOLD = 20


class PublishReport:
    """Counts lines; shows progress to people, positions to scripts, bad lines to both."""

    def __init__(self, source: str, *, as_json: bool, is_shown: bool) -> None:
        self.written = 0
        self.skipped = 0
        self._source = "stdin" if source == "-" else source
        self._as_json = as_json
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.completed:,.0f} events written"),
            TimeElapsedColumn(),
            console=progress(),
            transient=True,
            disable=not is_shown,
        )
        self._task = self._progress.add_task("publish", total=None)

    def position(self, written: RecordPosition) -> None:
        self.written += 1
        self._progress.update(self._task, completed=self.written)
        if self._as_json:
            print_json(written._asdict())

    def bad_line(self, number: int, error: TidewireError) -> None:
        self.skipped += 1
        if self._as_json:
            print_json({"line": number, "error": str(error)})
        elif self.skipped <= _MAX_TOLD:
            self._say(f"{self._source}:{number}: {error}")
        elif self.skipped == _MAX_TOLD + 1:
            self._say("further bad lines are only counted")

    def where(self, number: int) -> str:
        return f"{self._source}:{number}"

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def _say(self, text: str) -> None:
        if self._progress.disable:
            sys.stderr.write(text + "\n")
        else:
            self._progress.console.print(text, markup=False)
