"""The index of DB/: an SQLite connection that writes and one that reads.

WAL with synchronous=FULL: a committed transaction survives SIGKILL and power
loss, and readers do not wait for the disk. Each connection is shared by
threads under a lock and never crosses a fork (children are started by exec and
inherit no descriptor).
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mandel.errors import StoreError
from mandel.store.durable import disk_errors
from mandel.store.failpoint import failpoint

_MIGRATIONS = Path(__file__).parent / "migrations"
# Errors that another try or more disk space may mend. Any other error of SQLite at the start means damage.
_NO_DAMAGE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
}
_LEAST_FREE = 1 << 20  # bytes; with less, an index cannot be opened
_WAL_PAGES = 100  # the most pages of 4 KiB in the log beside the index, which counts in the size of DB/
_VACUUM_PAGES = (
    1_000  # at the start, unused pages are given back if they are this many and more than those in use
)


def _error(error: sqlite3.Error) -> StoreError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return StoreError("DISK_FULL", "no space left for the index of DB/; free some and ask again")
    return StoreError(
        "INDEX_FAILED",
        f"the index of DB/ failed: {error}; if it does so again and again, stop the "
        "service, move index.sqlite3 away and start it: the videos are found again",
    )


Value = str | int | float | None  # of a column
Layout = dict[tuple[str, str], list[tuple[Value, ...]] | None]  # columns by kind and name


class Damaged(Exception):
    """The file is no SQLite database, is damaged, or was not written by this program."""


class Index:
    """Opens the index ``path``, or makes it; checks that it is whole, and applies missing migrations.

    Raises:
        Damaged: the caller may put the index aside, and make it again from the files of the jobs.
        StoreError: INDEX_FAILED, INDEX_TOO_NEW, DISK_FULL.
    """

    def __init__(self, path: Path):
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        with disk_errors("opening the index"):
            _make(path)
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._reader = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise _error(error) from error
        try:
            self._reader.row_factory = sqlite3.Row
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "recursive_triggers=ON",
                "foreign_keys=ON",
                f"wal_autocheckpoint={_WAL_PAGES}",
                f"journal_size_limit={_WAL_PAGES << 12}",
            ):
                self._db.execute("PRAGMA " + pragma)
            self._prove()
            self._migrate()
            if _layout(self._db) != _layout_wanted():
                raise Damaged("its tables are not those of this program")
            self._give_back()
        except sqlite3.Error as error:
            self.close()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NO_DAMAGE:
                if shutil.disk_usage(path.parent).free < _LEAST_FREE:  # SQLite would report an I/O error
                    raise StoreError(
                        "DISK_FULL", "no space left for the index of DB/; free a megabyte and start again"
                    ) from error
                raise _error(error) from error
            raise Damaged(str(error)) from error
        except BaseException:
            self.close()
            raise

    def _prove(self) -> None:
        found = self._db.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise Damaged(found)

    def _migrate(self) -> None:
        have = self._db.execute("PRAGMA user_version").fetchone()[0]
        steps = _steps()
        if have > max(steps):
            raise StoreError(
                "INDEX_TOO_NEW",
                f"DB/ was written by a newer version (index {have}, this one knows {max(steps)}); "
                "run that version or use another --db. If its index was damaged rather, move index.sqlite3 away: "
                "the videos are found again without it",
            )
        if have <= 0 and _layout(self._db):
            raise Damaged("its tables are another program's")
        for number, step in steps.items():
            if number > have:
                self._db.executescript(f"BEGIN;\n{step.read_text()}\nPRAGMA user_version={number};\nCOMMIT;")

    def _give_back(self) -> None:
        """Gives unused pages back to the disk if most of the index is unused."""
        unused, all_of_them = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_count")
        )
        if unused > max(_VACUUM_PAGES, all_of_them / 2):
            try:
                self._db.execute("VACUUM")
            except sqlite3.Error:
                pass  # no room for the copy that it needs; the next start tries again

    @contextmanager
    def write(self, label: str) -> Iterator[sqlite3.Connection]:
        """One transaction: committed durably at the end of the block, undone after an exception."""
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

    def read(self, sql: str, *values: Value, **named: Value) -> list[sqlite3.Row]:
        """All rows of one query. Its values are given by position or by name."""
        with self._reading:
            try:
                return self._reader.execute(sql, named or values).fetchall()
            except sqlite3.Error as error:
                raise _error(error) from error

    def close(self) -> None:
        """Folds the write-ahead log into the index and closes it."""
        with self._lock, self._reading:
            self._reader.close()
            self._db.close()


def _make(path: Path) -> None:
    """Makes an empty index, if there is none, that only this user can read. SQLite's other files get its mode."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(fd, 0o600)
    finally:
        os.close(fd)


def _steps() -> dict[int, Path]:
    """The migrations by their numbers, in order."""
    found = {int(step.name.partition("_")[0]): step for step in _MIGRATIONS.glob("[0-9]*_*.sql")}
    return dict(sorted(found.items()))


def _layout(db: sqlite3.Connection) -> Layout:
    """The layout of an index: its tables with their columns, its indices and triggers."""
    names = db.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'").fetchall()
    return {
        (kind, name): [row[1:4] for row in db.execute(f'PRAGMA table_info("{name}")')]
        if kind == "table"
        else None
        for kind, name in names
    }


def _layout_wanted() -> Layout:
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for step in _steps().values():
            db.executescript(step.read_text())
        return _layout(db)
    finally:
        db.close()
