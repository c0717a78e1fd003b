"""Reports what another system has finished. Used by the modules for those systems, whose tasks it must never disturb."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec

from ._client import Client
from ._default_client import default_client
from ._finished_task import FinishedTask

logger = logging.getLogger("chiffon_audit")

Arguments = ParamSpec("Arguments")


def logs_exceptions(report: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Logs what the function raises: a task must not fail because of its record."""

    @functools.wraps(report)
    def wrapped(*arguments: Arguments.args, **named: Arguments.kwargs) -> None:
        try:
            report(*arguments, **named)
        except Exception:
            logger.exception("cannot report the end of a task")

    return wrapped


class Reporter:
    """Reports finished tasks through a client. `start`, `flush` and `report` never raise: what cannot be reported is logged."""

    def __init__(self, client: Client | None = None) -> None:
        self._client = client

    def client(self) -> Client:
        """The client that it was given, or the one of this process."""
        return self._client or default_client()

    @logs_exceptions
    def start(self) -> None:
        """Sends what an earlier process has left in the spool."""
        self.client()

    @logs_exceptions
    def flush(self) -> None:
        """Sends what is in the spool, before a process ends without notice. What cannot be sent within seconds waits."""
        self.client().flush()

    def report(self, task: FinishedTask) -> None:
        """Writes the outcome to the spool, from where a thread sends it."""
        try:
            document = task.document()
            client = self.client()
            try:
                client.report_later(document)
            except (OSError, ValueError):
                # The disk is full, or there is no spool.
                client.report(document)
        except Exception:
            logger.exception("cannot report that %s of %s ended", task.source_id, task.source)
