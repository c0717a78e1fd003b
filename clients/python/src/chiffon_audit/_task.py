"""One task as a context: it ends with the block, and an exception makes it failed."""

from __future__ import annotations

import traceback
from typing import Any

from ._document import error_text
from ._time import now, timestamp

TRACEBACK_LINES = 50


class Task:
    """A task that is under way. `output` becomes `execution_result.outcome`."""

    def __init__(self, task_id: str, **fields: Any) -> None:
        self.task_id = task_id
        self.status = "completed"
        self.output: dict[str, Any] = {}
        self.resources: dict[str, Any] = {}
        self.services: list[str] = []
        self.metadata: dict[str, Any] = dict(fields.pop("metadata", None) or {})
        self._fields = fields
        self._started = timestamp(now())

    def end(self, error: BaseException | None) -> dict[str, Any]:
        """The outcome document."""
        if error is not None:
            cancelled = type(error).__name__ in ("CancelledError", "KeyboardInterrupt", "SystemExit")
            self.status = "cancelled" if cancelled else "failed"
            frames = traceback.format_exception(type(error), error, error.__traceback__)
            self.output.setdefault("error", error_text(error))
            self.output.setdefault("traceback", "".join(frames[-TRACEBACK_LINES:]))
        result: dict[str, Any] = {
            "outcome": self.output,
            "resources_used": self.resources,
            "services_touched": self.services,
            "start_time": self._started,
            "end_time": timestamp(now()),
        }
        document: dict[str, Any] = {"task_id": self.task_id, "status": self.status, "execution_result": result, **self._fields}
        if self.metadata:
            document["metadata"] = self.metadata
        return document
