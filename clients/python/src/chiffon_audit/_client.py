"""The two clients: one that blocks, one of coroutines."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx

from . import _protocol as protocol
from ._document import line
from ._errors import Unavailable
from ._receipt import Drained, Receipt
from ._spool import Spool
from ._task import Task


class Client:
    """Reports outcomes. Threads may share one client."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        spool: str | os.PathLike[str] | None = None,
        encode_ids: bool = False,
        attempts: int = 3,
        timeout: float = 10.0,
    ) -> None:
        self._settings = protocol.Settings.of(url, token, spool, attempts, timeout)
        self._encode_ids = encode_ids
        self._spool = Spool(self._settings.spool) if self._settings.spool else None
        settings = self._settings
        self._http = httpx.Client(base_url=settings.url, headers=settings.headers(), timeout=settings.timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection. What is in the spool stays there."""
        self._http.close()
        if self._spool:
            self._spool.close()

    def report(self, outcome: Mapping[str, Any], *, wait: bool = False) -> Receipt:
        """Reports one outcome. With `wait`, returns once it is durable in git.

        Raises `Refused`, and `Unavailable` if there is no spool. On return the outcome is durable: here or in the service.
        """
        document = line(outcome)
        path = protocol.path(self._encode_ids, wait)
        last: str = "the service cannot accept now"
        for attempt in range(self._settings.attempts):
            retry_after = None
            try:
                answer = self._http.post(path, content=document, headers=protocol.JSON)
                receipt = protocol.read(answer.status_code, answer.content)
                if receipt is not None:
                    return receipt
                last, retry_after = f"the service answered {answer.status_code}", answer.headers.get("retry-after")
            except httpx.TransportError as error:
                last = f"{type(error).__name__}: {error}"
                if self._spool:
                    break
            if attempt + 1 < self._settings.attempts:
                time.sleep(protocol.backoff(attempt, retry_after))
        if self._spool is None:
            raise Unavailable(last)
        self._spool.append([document])
        return Receipt(task_id=outcome.get("task_id"), accepted=False, spooled=True, state="spooled")

    def report_all(self, outcomes: Iterable[Mapping[str, Any]]) -> Drained:
        """Reports many outcomes: into the spool, then from there in batches. Needs a spool."""
        if self._spool is None:
            raise ValueError("report_all needs a spool")
        for batch in protocol.batches([line(outcome) for outcome in outcomes]):
            self._spool.append(batch)
        return self.drain()

    @contextmanager
    def task(self, task_id: str, **fields: Any) -> Iterator[Task]:
        """A task that lasts as long as the block. An exception makes it `failed`, and goes on."""
        task = Task(task_id, **fields)
        try:
            yield task
        except BaseException as error:
            self.report(task.end(error))
            raise
        self.report(task.end(None))

    def drain(self) -> Drained:
        """Sends what is in the spool. Ends at the first trouble: the rest waits."""
        if self._spool is None:
            return Drained()
        accepted = refused = 0
        is_up = True
        for segment in self._spool.segments():
            left: list[bytes] = []
            for batch in protocol.batches(segment.lines):
                if not is_up:
                    left.extend(batch)
                    continue
                found = self._send(batch)
                accepted += found.accepted
                for document, problem in found.refused:
                    segment.refuse(document, problem)
                    refused += 1
                left.extend(found.waiting)
                is_up = not found.waiting
            segment.keep(left)
            if not is_up:
                break
        return Drained(accepted, refused, self._spool.waiting())

    def _send(self, batch: list[bytes]) -> protocol.Sorted:
        path = protocol.path(self._encode_ids, False)
        try:
            answer = self._http.post(path, content=b"\n".join(batch), headers=protocol.NDJSON)
        except httpx.TransportError:
            return protocol.Sorted(0, [], batch)
        return protocol.sort(batch, answer.status_code, answer.content)


class AsyncClient:
    """Reports outcomes from coroutines. The spool is used in a thread, since syncing a disk blocks."""

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        spool: str | os.PathLike[str] | None = None,
        encode_ids: bool = False,
        attempts: int = 3,
        timeout: float = 10.0,
    ) -> None:
        self._settings = protocol.Settings.of(url, token, spool, attempts, timeout)
        self._encode_ids = encode_ids
        self._spool = Spool(self._settings.spool) if self._settings.spool else None
        settings = self._settings
        self._http = httpx.AsyncClient(base_url=settings.url, headers=settings.headers(), timeout=settings.timeout)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Ends the connection. What is in the spool stays there."""
        await self._http.aclose()
        if self._spool:
            self._spool.close()

    async def report(self, outcome: Mapping[str, Any], *, wait: bool = False) -> Receipt:
        """Does what `Client.report` does."""
        document = line(outcome)
        path = protocol.path(self._encode_ids, wait)
        last: str = "the service cannot accept now"
        for attempt in range(self._settings.attempts):
            retry_after = None
            try:
                answer = await self._http.post(path, content=document, headers=protocol.JSON)
                receipt = protocol.read(answer.status_code, answer.content)
                if receipt is not None:
                    return receipt
                last, retry_after = f"the service answered {answer.status_code}", answer.headers.get("retry-after")
            except httpx.TransportError as error:
                last = f"{type(error).__name__}: {error}"
                if self._spool:
                    break
            if attempt + 1 < self._settings.attempts:
                await asyncio.sleep(protocol.backoff(attempt, retry_after))
        if self._spool is None:
            raise Unavailable(last)
        await asyncio.to_thread(self._spool.append, [document])
        return Receipt(task_id=outcome.get("task_id"), accepted=False, spooled=True, state="spooled")

    @asynccontextmanager
    async def task(self, task_id: str, **fields: Any) -> AsyncIterator[Task]:
        """Does what `Client.task` does. A cancelled coroutine makes the task `cancelled`."""
        task = Task(task_id, **fields)
        try:
            yield task
        except BaseException as error:
            await asyncio.shield(self.report(task.end(error)))
            raise
        await self.report(task.end(None))

    async def drain(self) -> Drained:
        """Does what `Client.drain` does, on a connection of its own."""
        return await asyncio.to_thread(self._drain)

    def _drain(self) -> Drained:
        if self._spool is None:
            return Drained()
        settings = self._settings
        with Client(
            settings.url,
            token=settings.token,
            spool=settings.spool,
            encode_ids=self._encode_ids,
            timeout=settings.timeout,
        ) as client:
            self._spool.close()
            return client.drain()
