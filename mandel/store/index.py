"""The index of DB/: an SQLite connection that writes and one that reads.

WAL with synchronous=FULL: a committed transaction survives SIGKILL and power
loss, and readers do not wait for the disk. Each connection is shared by
threads under a lock and never crosses a fork (children are started by exec and
inherit no descriptor).
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from pathlib import Path

from mandel.errors import StoreError
from mandel.store.durable import disk_errors
from mandel.store.failpoint import failpoint

_MIGRATIONS = Path(__file__).parent / "migrations"


def _error(error: sqlite3.Error) -> StoreError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return StoreError("DISK_FULL", "no space left for the index of DB/; free some and ask again")
    return StoreError("INDEX_FAILED", f"the index of DB/ failed: {error}")


class Index:
    """Opens ``path``, makes it if need be and applies the migrations it lacks.

    Raises:
        StoreError: INDEX_FAILED, INDEX_TOO_NEW, DISK_FULL.
    """

    def __init__(self, path: Path):
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise _error(error) from error
        try:
            self._reader.row_factory = sqlite3.Row
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                self._db.execute("PRAGMA " + pragma)
            self._migrate()
        except sqlite3.Error as error:
            self.close()
            raise _error(error) from error
        except StoreError:
            self.close()
            raise

    def _migrate(self) -> None:
        have = self._db.execute("PRAGMA user_version").fetchone()[0]
        steps = sorted(_MIGRATIONS.glob("*.sql"))
        if have > len(steps):
            raise StoreError(
                "INDEX_TOO_NEW",
                f"DB/ was written by a newer version (index {have}, this one knows {len(steps)}); "
                "run that version or use another --db",
            )
        for number, step in enumerate(steps[have:], have + 1):
            self._db.executescript(f"BEGIN;\n{step.read_text()}\nPRAGMA user_version={number};\nCOMMIT;")

    @contextmanager
    def write(self, label: str):
        """One transaction: committed durably when the block ends well, else undone."""
        with self._lock, disk_errors("writing the index"):
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    with failpoint(f"{label}.commit"):
                        self._db.execute("COMMIT")
                finally:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise _error(error) from error

    def read(self, sql: str, *values) -> list[sqlite3.Row]:
        """All rows of one query."""
        with self._reading:
            try:
                return self._reader.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise _error(error) from error

    def close(self) -> None:
        """Folds the write-ahead log into the index and closes it."""
        with self._lock, self._reading:
            self._reader.close()
            self._db.close()
