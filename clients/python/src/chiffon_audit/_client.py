"""The client that blocks."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from . import _protocol as protocol
from ._document import encode, error_text
from ._drain import DrainThread, drain
from ._receipt import Drained, Receipt
from ._settings import Settings
from ._spool import Spool
from ._task import Task

logger = logging.getLogger("chiffon_audit")

# After a failure, how long reports go straight to the spool, so that a service that hangs delays one report and not each of them.
PAUSE_SECONDS = 1.0
# How long a drain at the end may delay the end of the process.
LAST_DRAIN_SECONDS = 5.0


class Client:
    """Reports outcomes. Threads may share one client, and forked processes continue with separate connections."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        spool: str | os.PathLike[str] | None = None,
        encode_ids: bool = False,
        attempts: int = 3,
        timeout: float = 10.0,
        drain_every: float | None = None,
    ) -> None:
        """Connects to nothing yet. What is not given comes from the environment; an empty `spool` means that there is none.

        With `drain_every`, a thread sends what is in the spool: at once, and again after this many seconds while the service is away.
        """
        self._settings = Settings.of(url, token, spool, attempts, timeout)
        self._encode_ids = encode_ids
        self._drain_every = drain_every
        self._spool = Spool(self._settings.spool) if self._settings.spool else None
        self._start()

    def _start(self) -> None:
        self._process = os.getpid()
        settings = self._settings
        self._http = httpx.Client(base_url=settings.url, headers=settings.headers(), timeout=settings.timeout)
        self._pause_ends = 0.0
        self._drain_thread: DrainThread | None = None
        self._drain_thread_lock = threading.Lock()
        if self._drain_every is not None and self._spool is not None and not self._spool.is_empty():
            self._wake()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection. What is in the spool stays there."""
        self._end_drain_thread()
        self._http.close()
        if self._spool:
            self._spool.close()

    def report(self, outcome: Mapping[str, Any], *, wait: bool = False) -> Receipt:
        """Reports one outcome. With `wait`, returns once it is durable in git.

        On return the outcome is durable: in the service's store (`accepted`), or in the spool. Raises `Refused` for an outcome that the
        service refuses, and `Unavailable` if the outcome is in neither place.
        """
        document = encode(outcome)
        steps = self._steps(outcome, wait)
        try:
            step = next(steps)
            while True:
                try:
                    result = self._take(step, document)
                except OSError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            receipt: Receipt = end.value
            return receipt

    def _steps(self, outcome: Mapping[str, Any], wait: bool) -> protocol.Steps:
        self._after_fork()
        post = protocol.Post(protocol.path(self._encode_ids, wait), protocol.timeout(self._settings.timeout, wait))
        is_paused = time.monotonic() < self._pause_ends
        has_spool = self._spool is not None
        return protocol.report(outcome, post, self._settings.attempts, has_spool=has_spool, is_paused=is_paused)

    def _take(self, step: protocol.Post | protocol.Append | protocol.Sleep, document: bytes) -> protocol.Answer | None:
        match step:
            case protocol.Post(path, timeout):
                try:
                    answer = self._http.post(path, content=document, headers=protocol.JSON, timeout=timeout)
                except httpx.HTTPError as error:
                    raise ConnectionError(error_text(error)) from error
                return protocol.Answer(answer.status_code, answer.content, answer.headers.get("retry-after"))
            case protocol.Append(begins_pause):
                self._append(document, begins_pause)
            case protocol.Sleep(seconds):
                time.sleep(seconds)
        return None

    def report_later(self, outcome: Mapping[str, Any]) -> Receipt:
        """Writes one outcome to the spool, and does not wait for the service. Needs a spool.

        A thread sends it if the client has `drain_every`; otherwise `drain` does. Raises `OSError` if the disk is full.
        """
        document = encode(outcome)
        self._after_fork()
        self._append(document)
        return Receipt.in_spool(outcome)

    def report_all(self, outcomes: Iterable[Mapping[str, Any]]) -> Drained:
        """Reports many outcomes: into the spool, then from there in batches. Needs a spool."""
        spool = self._needed_spool()
        self._after_fork()
        for batch in protocol.batches(encode(outcome) for outcome in outcomes):
            spool.append(batch)
        return self.drain()

    @contextmanager
    def task(self, task_id: str, **fields: Any) -> Iterator[Task]:
        """A task that ends with the block. An exception makes it `failed`, and is raised again."""
        task = Task(task_id, **fields)
        try:
            yield task
        except BaseException as error:
            try:
                self.report(task.end(error))
            except Exception:
                # The task's own exception is what the caller must see.
                logger.exception("cannot report that the task %s failed", task_id)
            raise
        self.report(task.end(None))

    def drain(self) -> Drained:
        """Sends what is in the spool. After trouble with the service, the rest waits."""
        if self._spool is None:
            return Drained()
        self._after_fork()
        return drain(self._spool, self._send)

    def flush(self) -> None:
        """Gives the thread of `drain_every` up to five seconds to send what is in the spool. The rest waits."""
        self._after_fork()
        if self._drain_every is not None and self._spool is not None and not self._spool.is_empty():
            self._wake()
        self._end_drain_thread()

    def _end_drain_thread(self) -> None:
        if os.getpid() != self._process:
            return
        with self._drain_thread_lock:
            thread, self._drain_thread = self._drain_thread, None
        if thread is not None:
            thread.close(LAST_DRAIN_SECONDS)

    def _send(self, batch: list[bytes]) -> tuple[int, bytes] | None:
        path = protocol.path(self._encode_ids, False)
        try:
            answer = self._http.post(path, content=b"\n".join(batch), headers=protocol.NDJSON)
        except httpx.HTTPError as error:
            logger.debug("the service cannot be reached: %s", error)
            return None
        if answer.status_code in (200, 202, 207):
            self._pause_ends = 0.0
        return answer.status_code, answer.content

    def _needed_spool(self) -> Spool:
        if self._spool is None:
            raise ValueError("this needs a spool")
        return self._spool

    def _append(self, document: bytes, begins_pause: bool = False) -> None:
        if begins_pause:
            self._pause_ends = time.monotonic() + PAUSE_SECONDS
        self._needed_spool().append([document])
        if self._drain_every is not None:
            self._wake()

    def _wake(self) -> None:
        with self._drain_thread_lock:
            if self._drain_thread is None:
                assert self._spool is not None and self._drain_every is not None
                self._drain_thread = DrainThread(self._spool, self.drain, self._drain_every)
            self._drain_thread.wake()

    def _after_fork(self) -> None:
        """A forked child must not use its parent's connections, and has none of its threads."""
        if os.getpid() != self._process:
            self._start()
