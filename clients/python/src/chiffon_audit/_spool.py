"""A directory of outcomes that wait, each synced to disk before its writer continues.

Every process appends to its own segment and locks it while it writes. A drain takes segments that no process is writing to. An outcome
leaves the spool only after the service has answered for it: after a crash at any moment it waits, or is sent twice, which changes nothing.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks.
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".ndjson"
# Files of the command `hook`, which may have the same directory and records them itself.
HOOK_SUFFIX = ".hook.ndjson"
# Bounds the memory of a drain, which reads a segment whole.
SEGMENT_BYTES = 16 << 20


class Spool:
    """The spool in a directory, which is created if it is missing."""

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        if fcntl is None:
            raise OSError(errno.ENOTSUP, "the spool needs a system with POSIX file locks")
        self.directory = Path(directory)
        create_directory(self.directory)
        self._lock = threading.Lock()
        self._file: int | None = None
        self._path = self.directory
        self._process = os.getpid()

    def append(self, lines: list[bytes]) -> None:
        """Adds documents. On return they would survive a power cut.

        Raises `OSError`, such as when the disk is full: then none of them is in the spool.
        """
        data = b"".join(line + b"\n" for line in lines)
        if os.getpid() != self._process:
            # A forked child leaves the segment to its parent. Another thread may have held the lock during the fork.
            self._lock, self._process = threading.Lock(), os.getpid()
            self._close()
        with self._lock:
            file = self._locked()
            size = os.fstat(file).st_size
            try:
                _write(file, data)
                os.fsync(file)
            except BaseException:
                # A part of it may be written, and was not acknowledged. The next append must not continue that line.
                try:
                    os.ftruncate(file, size)
                finally:
                    self._close()
                raise
            if size + len(data) >= SEGMENT_BYTES:
                self._close()
            else:
                fcntl.flock(file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Ends this process's segment. What is in it stays in the spool."""
        with self._lock:
            self._close()

    def _locked(self) -> int:
        """The segment of this process, locked."""
        if self._file is not None:
            if _try_lock(self._file) and _is_current(self._path, self._file):
                return self._file
            # A drain has it, or has removed it.
            self._close()
        while True:
            path = self.directory / f"{time.time_ns():020d}-{uuid.uuid4().hex}{SUFFIX}"
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            self._file, self._path = file, path
            # A drain may have found and removed the empty segment before it was locked.
            if _try_lock(file) and _is_current(path, file):
                try:
                    sync_directory(self.directory)
                except OSError:
                    self._close()
                    raise
                return file
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            os.close(file)

    def waiting(self) -> int:
        """How many outcomes wait."""
        return sum(len(complete_lines(path)) for path in self._paths())

    def is_empty(self) -> bool:
        """Whether no segment holds anything."""
        return not any(_size(path) for path in self._paths())

    def segments(self) -> Iterator[Segment]:
        """The segments that no process is writing to, oldest first, each locked while it is used."""
        for path in self._paths():
            try:
                file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # Another process has drained it.
            try:
                # Another process may have drained or replaced it before this one got the lock.
                if _try_lock(file) and _is_current(path, file):
                    yield Segment(path)
            finally:
                os.close(file)

    def _paths(self) -> list[Path]:
        return sorted(path for path in self.directory.glob(f"*{SUFFIX}") if not path.name.endswith(HOOK_SUFFIX))


class Segment:
    """A segment that is being drained."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = complete_lines(path)

    def replace_lines(self, lines: list[bytes]) -> None:
        """Replaces the segment by these lines, or removes it."""
        if lines and lines == self.lines:
            return
        beside = self.path.with_suffix(".tmp")
        if not lines:
            # A crash may have left the second file.
            beside.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
        else:
            # The lock on the old file keeps other processes away until it is replaced.
            try:
                _create(beside, b"".join(line + b"\n" for line in lines))
            except OSError:
                beside.unlink(missing_ok=True)
                raise
            os.replace(beside, self.path)
        sync_directory(self.path.parent)

    def set_aside(self, refused: list[tuple[bytes, object]]) -> None:
        """Keeps documents that the service refuses in `refused/`, with the reason."""
        directory = self.path.parent / "refused"
        create_directory(directory)
        records = [{"problem": problem, "document": line.decode(errors="replace")} for line, problem in refused]
        path = directory / f"{self.path.stem}-{uuid.uuid4().hex[:8]}{SUFFIX}"
        try:
            _create(path, b"".join(json.dumps(record).encode() + b"\n" for record in records))
        except OSError:
            path.unlink(missing_ok=True)
            raise
        sync_directory(directory)


def complete_lines(path: Path) -> list[bytes]:
    """The documents of a segment. What follows the last newline was torn by a crash, and never acknowledged."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    return [line for line in text.split(b"\n")[:-1] if line.strip()]


def create_directory(directory: Path) -> None:
    """Creates a directory and its parents where they are missing, each durable and for this user alone.

    Outcomes may hold what not every user of the machine should read.
    """
    if directory.is_dir():
        return
    create_directory(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)
    sync_directory(directory.parent)


def sync_directory(directory: Path) -> None:
    """Makes the names in a directory durable."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _create(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _write(file: int, data: bytes) -> None:
    """Writes all of it. A nearly full disk takes a part first, and refuses the rest only when asked again."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_current(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
