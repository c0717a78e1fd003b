"""The client of coroutines."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from . import _protocol as protocol
from ._client import Client
from ._document import encode, error_text
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
        settings = Settings.of(url, token, spool, attempts, timeout)
        self._http = httpx.AsyncClient(base_url=settings.url, headers=settings.headers(), timeout=settings.timeout)
        # Decides the steps of a report and uses the spool. It has a connection only while it drains.
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
        document = encode(outcome)
        steps = self._blocking._steps(outcome, wait)
        try:
            step = next(steps)
            while True:
                try:
                    result = await self._take(step, document)
                except OSError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(result)
        except StopIteration as end:
            receipt: Receipt = end.value
            return receipt

    async def _take(self, step: protocol.Post | protocol.Append | protocol.Sleep, document: bytes) -> protocol.Answer | None:
        match step:
            case protocol.Post(path, timeout):
                try:
                    answer = await self._http.post(path, content=document, headers=protocol.JSON, timeout=timeout)
                except httpx.HTTPError as error:
                    raise ConnectionError(error_text(error)) from error
                return protocol.Answer(answer.status_code, answer.content, answer.headers.get("retry-after"))
            case protocol.Append(begins_pause):
                await asyncio.to_thread(self._blocking._append, document, begins_pause)
            case protocol.Sleep(seconds):
                await asyncio.sleep(seconds)
        return None

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
        return await asyncio.to_thread(self._blocking.drain)
