"""Records Airflow's task instances, by a listener. Airflow loads it as a plugin when the package is installed.

The scheduler decides alone about tasks that never start, such as after a failure upstream: record those with `--from airflow`.
"""

from __future__ import annotations

from typing import Any

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

from ._document import error_text
from ._finished_task import FinishedTask, present
from ._reporter import Reporter, logs_exceptions
from ._time import now


class AuditListener:
    """Reports task instances. Each try is a separate task."""

    def __init__(self, reporter: Reporter | None = None) -> None:
        self._reporter = reporter or Reporter()

    @hookimpl
    def on_task_instance_success(self, previous_state: Any, task_instance: Any) -> None:
        """Reports a success."""
        self._report(task_instance, "completed", "success", {})

    @hookimpl
    def on_task_instance_failed(self, previous_state: Any, task_instance: Any, error: Any) -> None:
        """Reports a failure, also of a try that another one follows."""
        said = error_text(error) if isinstance(error, BaseException) else error
        self._report(task_instance, "failed", "failed", {"error": said})

    @hookimpl
    def on_task_instance_skipped(self, previous_state: Any, task_instance: Any) -> None:
        """Reports a task that skips itself."""
        self._report(task_instance, "cancelled", "skipped", {})

    @hookimpl
    def before_stopping(self, component: Any) -> None:
        """Sends what waits: the process of a task ends without its exit handlers."""
        self._reporter.flush()

    @logs_exceptions
    def _report(self, instance: Any, status: str, native_state: str, output: dict[str, Any]) -> None:
        self._reporter.report(describe(instance, status, native_state, output))


def describe(instance: Any, status: str, native_state: str, output: dict[str, Any]) -> FinishedTask:
    """What is known about a task instance, in a worker or in the API server."""
    task = getattr(instance, "task", None)
    source_id = f"{instance.dag_id}/{part(instance.run_id)}/{part(instance.task_id)}"
    map_index = getattr(instance, "map_index", -1)
    if map_index is not None and map_index >= 0:
        source_id += f"#{map_index}"
    start = instance.start_date
    end = instance.end_date or now()
    return FinishedTask(
        source="airflow",
        source_id=source_id,
        status=status,
        native_state=native_state,
        attempt=instance.try_number,
        plan_id=f"{instance.dag_id}/{instance.run_id}",
        agent_pool=getattr(instance, "pool", None) or getattr(task, "pool", None),
        agent_id=getattr(instance, "hostname", None) or None,
        output=output,
        resources=present({"duration_s": (end - start).total_seconds() if start else None, "max_tries": instance.max_tries}),
        services=[getattr(instance, "operator", None) or type(task).__name__],
        start=start,
        end=end,
        metadata={"dag_id": instance.dag_id, "dag_run_id": instance.run_id, "task_id": instance.task_id},
    )


def part(text: str) -> str:
    """A part of an id, without the characters that separate parts. The service's map writes it the same way."""
    return text.replace("%", "%25").replace("/", "%2F").replace("#", "%23")


class AuditPlugin(AirflowPlugin):
    """Adds the listener."""

    name = "chiffon_audit"
    listeners = [AuditListener()]
