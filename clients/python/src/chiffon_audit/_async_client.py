"""The client of coroutines."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from . import _protocol as protocol
from ._client import PAUSE, Client
from ._document import line
from ._errors import Unavailable
from ._receipt import Drained, Receipt
from ._settings import Settings
from ._task import Task

logger = logging.getLogger("chiffon_audit")


class AsyncClient:
    """Reports outcomes from coroutines. The spool is used in threads, since syncing a disk blocks."""

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
        """Does what `Client()` does."""
        self._settings = settings = Settings.of(url, token, spool, attempts, timeout)
        self._encode_ids = encode_ids
        self._pause_ends = 0.0
        self._http = httpx.AsyncClient(base_url=settings.url, headers=settings.headers(), timeout=settings.timeout)
        # Uses the spool, and has a connection only while it drains.
        self._blocking = Client(
            settings.url,
            token=settings.token,
            spool=settings.spool or "",
            encode_ids=encode_ids,
            attempts=attempts,
            timeout=timeout,
            drain_every=drain_every,
        )

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the connections. What is in the spool stays there."""
        await self._http.aclose()
        await asyncio.to_thread(self._blocking.close)

    async def report(self, outcome: Mapping[str, Any], *, wait: bool = False) -> Receipt:
        """Does what `Client.report` does."""
        document = line(outcome)
        has_spool = self._settings.spool is not None
        problem: str | None = None
        if has_spool and time.monotonic() < self._pause_ends:
            try:
                return await self.report_later(outcome)
            except OSError as error:
                problem = f"the spool cannot be written: {error}"
        for attempt in range(self._settings.attempts):
            retry_after = None
            try:
                answer = await self._http.post(
                    protocol.path(self._encode_ids, wait),
                    content=document,
                    headers=protocol.JSON,
                    timeout=protocol.timeout(self._settings.timeout, wait),
                )
                receipt = protocol.read(answer.status_code, answer.content)
                if receipt is not None:
                    return receipt
                problem = f"the service answered {answer.status_code}"
                retry_after = answer.headers.get("retry-after")
            except httpx.HTTPError as error:
                problem = f"{type(error).__name__}: {error}"
            if has_spool:
                self._pause_ends = time.monotonic() + PAUSE
                try:
                    return await self.report_later(outcome)
                except OSError as error:
                    problem += f"; the spool cannot be written: {error}"
            if attempt + 1 < self._settings.attempts:
                await asyncio.sleep(protocol.backoff(attempt, retry_after))
        raise Unavailable(problem)

    async def report_later(self, outcome: Mapping[str, Any]) -> Receipt:
        """Does what `Client.report_later` does."""
        return await asyncio.to_thread(self._blocking.report_later, outcome)

    async def report_all(self, outcomes: Iterable[Mapping[str, Any]]) -> Drained:
        """Does what `Client.report_all` does."""
        return await asyncio.to_thread(self._blocking.report_all, outcomes)

    @asynccontextmanager
    async def task(self, task_id: str, **fields: Any) -> AsyncIterator[Task]:
        """Does what `Client.task` does. A cancelled coroutine makes the task `cancelled`."""
        task = Task(task_id, **fields)
        try:
            yield task
        except BaseException as error:
            try:
                await asyncio.shield(self.report(task.end(error)))
            except Exception:
                logger.exception("cannot report that the task %s failed", task_id)
            raise
        await self.report(task.end(None))

    async def drain(self) -> Drained:
        """Does what `Client.drain` does, on a separate connection."""
        drained = await asyncio.to_thread(self._blocking.drain)
        if drained.accepted:
            self._pause_ends = 0.0
        return drained
