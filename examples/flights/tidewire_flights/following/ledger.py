"""What outlives a restart: who follows what, and how far the flights were told. SQLite, one small file."""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from .errors import LedgerError

__all__ = ["Ledger"]

_BUSY_TIMEOUT: Final = 2.0
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS visitor (visitor TEXT PRIMARY KEY, seen REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS follow (
  number INTEGER PRIMARY KEY, visitor TEXT NOT NULL, flight TEXT NOT NULL, UNIQUE (visitor, flight)
);
CREATE TABLE IF NOT EXISTS told (epoch TEXT NOT NULL, partition INTEGER PRIMARY KEY, next INTEGER NOT NULL);
"""


class Ledger:
    """Every call is one small transaction on a local file. Raises `LedgerError` naming the file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_TABLES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def seen(self, visitor: str, at: float) -> None:
        """The visitor was there at ``at`` (Unix s)."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO visitor VALUES (?, ?) ON CONFLICT DO UPDATE SET seen = excluded.seen",
                (visitor, at),
            )

    def forget_unseen(self, since: float) -> None:
        """Drop everybody who was not there since ``since`` (Unix s)."""
        with self._transaction():
            self._db.execute("DELETE FROM visitor WHERE seen < ?", (since,))
            self._db.execute(
                "DELETE FROM follow WHERE visitor NOT IN (SELECT visitor FROM visitor)"
            )

    def follow(self, visitor: str, flight: str) -> None:
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO follow (visitor, flight) VALUES (?, ?)", (visitor, flight)
            )

    def unfollow(self, visitor: str, flight: str) -> None:
        with self._transaction():
            self._db.execute(
                "DELETE FROM follow WHERE visitor = ? AND flight = ?", (visitor, flight)
            )

    def followed(self) -> list[tuple[str, str]]:
        """Visitor and flight, in the order in which they were followed."""
        with self._explained():
            return self._db.execute("SELECT visitor, flight FROM follow ORDER BY number").fetchall()

    def told(self, epoch: str) -> dict[int, int]:
        """Partition → next offset of the topic's life ``epoch``; of another life nothing is known."""
        with self._explained():
            rows = self._db.execute("SELECT partition, next FROM told WHERE epoch = ?", (epoch,))
            return dict(rows.fetchall())

    def tell(self, epoch: str, offsets: Mapping[int, int]) -> None:
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO told VALUES (?, ?, ?)",
                [(epoch, partition, offset) for partition, offset in offsets.items()],
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._explained():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise LedgerError(
                f"{self._path} cannot be used ({error}): remove it, which forgets who follows what, "
                "or name another with --data"
            ) from error
