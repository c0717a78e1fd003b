"""Records the activities that a Temporal worker runs, each attempt as a task.

    from chiffon_audit.temporal import AuditInterceptor
    Worker(client, task_queue="deploys", activities=[...], interceptors=[AuditInterceptor()])

How a workflow ends is decided by the server, not by a worker: record workflows from their exported histories, with `--from temporal`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from ._client import Client
from ._document import error_text
from ._finished_task import FinishedTask
from ._reporter import Reporter
from ._time import now


class AuditInterceptor(Interceptor):
    """Reports activities. Their plan is the run of the workflow."""

    def __init__(self, client: Client | None = None) -> None:
        self._reporter = Reporter(client)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Puts itself before the activity."""
        return _Activity(next, self._reporter)


class _Activity(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, reporter: Reporter) -> None:
        super().__init__(next)
        self._reporter = reporter

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        try:
            result = await self.next.execute_activity(input)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) or type(error).__name__ == "CancelledError":
                await self._report("cancelled", "CANCELED", {"failure": error_text(error)})
            elif type(error).__name__ != "_CompleteAsyncError":
                await self._report("failed", "FAILED", {"failure": error_text(error)})
            # An activity that another program completes has not ended.
            raise
        await self._report("completed", "COMPLETED", {"result": result})
        return result

    async def _report(self, status: str, native_state: str, output: dict[str, Any]) -> None:
        info = activity.info()
        run = f"{info.workflow_id}/{info.workflow_run_id}" if info.workflow_id else info.activity_run_id or "activity"
        task = FinishedTask(
            source="temporal",
            source_id=f"{run}/{info.activity_id}",
            status=status,
            native_state=native_state,
            attempt=info.attempt,
            plan_id=run,
            agent_pool=info.task_queue,
            dispatched=info.scheduled_time,
            output=output,
            services=[info.activity_type],
            start=info.started_time,
            end=now(),
            metadata={"workflow_type": info.workflow_type, "namespace": info.namespace, "is_local": info.is_local or None},
        )
        # Syncing a disk blocks, and the worker's event loop runs other activities.
        await asyncio.shield(asyncio.to_thread(self._reporter.report, task))
