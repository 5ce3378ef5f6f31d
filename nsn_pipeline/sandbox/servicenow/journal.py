"""The append-only file behind the store: one JSON array per line, flushed once per request.

Lines: `["row", table, {...}]` replaces a record, `["gone", table, sys_id]` removes one,
`["column", table, name]` adds a column. A kill can tear only the last line, which is then ignored;
the next start writes a compact file and renames it into place.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

NAME = "servicenow.jsonl"


class Journal:
    """Writes go straight to the operating system, so they outlive a killed process."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / NAME
        self._file = -1

    def replay(self) -> Iterator[list[Any]]:
        """Every whole entry; what follows the first torn one is cut off the file."""
        if not self.path.exists():
            return
        whole = 0
        with self.path.open("rb") as lines:
            for line in lines:
                try:
                    entry = orjson.loads(line) if line.endswith(b"\n") else None
                except orjson.JSONDecodeError:
                    entry = None
                if entry is None:  # torn by a kill: the request it belonged to got no answer
                    break
                whole += len(line)
                yield entry
        if whole < self.path.stat().st_size:
            os.truncate(self.path, whole)

    def rewrite(self, entries: Iterable[list[Any]]) -> None:
        """Replace the file by `entries`, all or nothing."""
        fresh = self.path.with_suffix(".new")
        with fresh.open("wb") as out:
            for entry in entries:
                out.write(orjson.dumps(entry) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        self.close()
        fresh.replace(self.path)

    def append(self, entries: Iterable[list[Any]]) -> None:
        data = b"".join([orjson.dumps(entry) + b"\n" for entry in entries])
        if not data:
            return
        if self._file < 0:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
