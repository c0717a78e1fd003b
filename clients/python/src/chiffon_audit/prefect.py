"""Records Prefect's flow runs and task runs, by hooks.

    from chiffon_audit.prefect import flow_hooks, task_hooks

    @task(**task_hooks())
    def build(): ...

    @flow(**flow_hooks())
    def release(): ...
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._client import Client
from ._finished_task import FinishedTask
from ._reporter import Reporter, logs_exceptions

STATUSES = {"COMPLETED": "completed", "FAILED": "failed", "CRASHED": "failed", "CANCELLED": "cancelled"}

Hook = Callable[[Any, Any, Any], None]


def flow_hooks(client: Client | None = None) -> dict[str, list[Hook]]:
    """The arguments of `@flow` that report its runs."""
    hook = _hook(Reporter(client), "flow_id")
    return {name: [hook] for name in ("on_completion", "on_failure", "on_crashed", "on_cancellation")}


def task_hooks(client: Client | None = None) -> dict[str, list[Hook]]:
    """The arguments of `@task` that report its runs."""
    hook = _hook(Reporter(client), "flow_run_id")
    return {name: [hook] for name in ("on_completion", "on_failure")}


def _hook(reporter: Reporter, plan: str) -> Hook:
    @logs_exceptions
    def report_to_audit(definition: Any, run: Any, state: Any) -> None:
        native = getattr(state.type, "value", str(state.type))
        status = STATUSES.get(native)
        if status is None:
            return
        plan_id = getattr(run, plan, None)
        reporter.report(
            FinishedTask(
                source="prefect",
                source_id=str(run.id),
                status=status,
                native_state=native,
                # As the service's map does it: a run that was cancelled before it ran has the number 0.
                attempt=1 if run.run_count is None else run.run_count,
                plan_id=None if plan_id is None else str(plan_id),
                agent_pool=getattr(run, "work_pool_name", None),
                agent_id=getattr(run, "infrastructure_pid", None) or getattr(run, "work_queue_name", None),
                dispatched=run.expected_start_time,
                output={"state_name": state.name, "message": state.message},
                resources={"total_run_time_s": run.total_run_time.total_seconds(), "run_count": run.run_count},
                services=[run.task_key] if hasattr(run, "task_key") else [],
                start=run.start_time,
                end=run.end_time or state.timestamp,
                metadata={
                    "name": run.name,
                    "deployment_id": getattr(run, "deployment_id", None),
                    "parameters": getattr(run, "parameters", None) or None,
                    "tags": sorted(run.tags) or None,
                },
            )
        )

    return report_to_audit
