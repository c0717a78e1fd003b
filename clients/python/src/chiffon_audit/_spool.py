"""A directory of outcomes that wait, each synced to disk before its writer goes on.

Every process appends to a segment of its own, which it holds locked. Whoever drains takes segments that nobody holds. An outcome leaves
the spool only after the service has answered for it: a crash at any moment makes it wait, or be sent twice, which changes nothing.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

SUFFIX = ".ndjson"
SEGMENT_BYTES = 16 << 20


class Spool:
    """The spool in a directory, which is created if it is missing."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._segment: BinaryIO | None = None
        self._path: Path | None = None

    def append(self, lines: list[bytes]) -> None:
        """Adds documents. On return they would survive a power cut.

        Raises `OSError` if the disk is full: then none of them is in the spool.
        """
        with self._lock:
            segment = self._open()
            before = segment.seek(0, os.SEEK_END)
            try:
                segment.write(b"".join(line + b"\n" for line in lines))
                segment.flush()
                os.fsync(segment.fileno())
            except OSError:
                # A part of it may be written. What is cut here was never acknowledged.
                try:
                    os.ftruncate(segment.fileno(), before)
                finally:
                    self._close()
                raise
            if segment.tell() >= SEGMENT_BYTES:
                self._close()

    def close(self) -> None:
        """Lets others drain what this process has written."""
        with self._lock:
            self._close()

    def _open(self) -> BinaryIO:
        if self._segment is not None:
            return self._segment
        path = self.directory / f"{time.time_ns():020d}-{uuid.uuid4().hex}{SUFFIX}"
        segment = open(path, "xb", buffering=0)
        fcntl.flock(segment, fcntl.LOCK_EX)
        self._sync_directory(self.directory)
        self._segment, self._path = segment, path
        return segment

    def _close(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = self._path = None

    def _sync_directory(self, directory: Path) -> None:
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def waiting(self) -> int:
        """How many outcomes wait, in this process's segment and in others."""
        return sum(len(self._complete(path)) for path in self._paths())

    def segments(self) -> Iterator[Segment]:
        """The segments that nobody writes to, oldest first, each locked while it is used."""
        self.close()
        for path in self._paths():
            try:
                file = open(path, "r+b", buffering=0)
            except FileNotFoundError:
                continue  # Another process has drained it.
            with file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                # Another process may have drained or replaced it before this one got the lock.
                if self._is_current(path, file):
                    yield Segment(self, path)

    def _is_current(self, path: Path, file: BinaryIO) -> bool:
        try:
            return os.path.samestat(path.stat(), os.fstat(file.fileno()))
        except FileNotFoundError:
            return False

    def _paths(self) -> list[Path]:
        return sorted(self.directory.glob(f"*{SUFFIX}"))

    def _complete(self, path: Path) -> list[bytes]:
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return []
        lines = text.split(b"\n")
        # What follows the last newline was torn by a crash, and never acknowledged.
        return [line for line in lines[:-1] if line.strip()]


class Segment:
    """A segment that is being drained."""

    def __init__(self, spool: Spool, path: Path) -> None:
        self._spool = spool
        self.path = path
        self.lines = spool._complete(path)

    def keep(self, lines: list[bytes]) -> None:
        """Replaces the segment by these lines, or removes it."""
        if not lines:
            self.path.unlink(missing_ok=True)
            self._spool._sync_directory(self.path.parent)
            return
        if lines == self.lines:
            return
        # The name sorts where the segment was. The lock on the old file keeps others away until it is gone.
        beside = self.path.with_suffix(".tmp")
        with open(beside, "wb") as file:
            file.write(b"".join(line + b"\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)
        self._spool._sync_directory(self.path.parent)

    def refuse(self, line: bytes, problem: object) -> None:
        """Sets a document aside that the service refuses, with the reason."""
        directory = self._spool.directory / "refused"
        directory.mkdir(exist_ok=True)
        record = {"problem": problem, "document": line.decode(errors="replace")}
        path = directory / self.path.name
        with open(path, "ab") as file:
            file.write(json.dumps(record).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._spool._sync_directory(directory)
