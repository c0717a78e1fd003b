"""Records what Celery's workers finish.

    from chiffon_audit.celery import connect
    connect()

A retry is not the end of a task: one Celery id is one task, and the number of retries is in `resources_used`.
"""

from __future__ import annotations

import datetime
from typing import Any

from celery import signals

from ._client import Client
from ._document import error_text
from ._finished_task import FinishedTask
from ._reporter import Reporter, logs_exceptions
from ._time import now

_reporter = Reporter()
_started: dict[str, datetime.datetime] = {}


def connect(client: Client | None = None) -> None:
    """Listens to the signals of this process's workers. Without a client, the environment says where to report."""
    global _reporter
    _reporter = Reporter(client)
    signals.worker_ready.connect(_ready)
    signals.worker_process_shutdown.connect(_shutdown)
    signals.task_prerun.connect(_prerun)
    signals.task_postrun.connect(_postrun)
    signals.task_success.connect(_success)
    signals.task_failure.connect(_failure)
    signals.task_revoked.connect(_revoked)


def _ready(**_: Any) -> None:
    _reporter.start()


def _shutdown(**_: Any) -> None:
    # The processes of a pool end without their exit handlers.
    _reporter.flush()


def _prerun(task_id: str, **_: Any) -> None:
    _started[task_id] = now()


def _postrun(task_id: str, **_: Any) -> None:
    _started.pop(task_id, None)


@logs_exceptions
def _success(sender: Any, result: Any, **_: Any) -> None:
    _report(sender.name, sender.request.id, sender.request, "completed", "SUCCESS", result)


@logs_exceptions
def _failure(sender: Any, task_id: str, exception: BaseException, einfo: Any = None, **_: Any) -> None:
    output = {"error": error_text(exception), "traceback": str(einfo.traceback) if einfo else None}
    # A lost worker is reported by its parent, which has no request.
    request = sender.request if sender.request.id == task_id else None
    _report(sender.name, task_id, request, "failed", "FAILURE", output)


@logs_exceptions
def _revoked(sender: Any, request: Any, terminated: bool, signum: Any, expired: bool, **_: Any) -> None:
    output = {"terminated": terminated, "signal": str(signum) if signum else None, "expired": expired}
    # The main process of a worker has a wrapper around the request.
    inner = getattr(request, "_context", None) or request
    task_id = getattr(request, "id", None) or inner.id
    _report(sender.name if sender else request.task, task_id, inner, "cancelled", "REVOKED", output)


def _report(name: str, task_id: str, request: Any, status: str, native_state: str, output: Any) -> None:
    def of(member: str) -> Any:
        return getattr(request, member, None)

    delivery = of("delivery_info") or {}
    _reporter.report(
        FinishedTask(
            source="celery",
            source_id=task_id,
            status=status,
            native_state=native_state,
            plan_id=of("root_id"),
            agent_pool=delivery.get("routing_key"),
            agent_id=of("hostname"),
            output=output,
            resources={"retries": of("retries")},
            services=[name],
            start=_started.get(task_id),
            end=now(),
            metadata={"parent_id": of("parent_id"), "group": of("group"), "eta": of("eta")},
        )
    )
