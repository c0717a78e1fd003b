"""Records Dagster's runs, by sensors.

    from chiffon_audit.dagster import audit_sensors
    defs = Definitions(jobs=[...], sensors=[*audit_sensors()])
"""

from __future__ import annotations

from typing import Any

from dagster import DagsterRunStatus, DefaultSensorStatus, RunStatusSensorContext, RunStatusSensorDefinition, run_status_sensor

from ._client import Client
from ._finished_task import FinishedTask
from ._ids import task_id
from ._reporter import Reporter, logs_exceptions

STATUSES = {
    DagsterRunStatus.SUCCESS: "completed",
    DagsterRunStatus.FAILURE: "failed",
    DagsterRunStatus.CANCELED: "cancelled",
}


def audit_sensors(client: Client | None = None, **settings: Any) -> list[RunStatusSensorDefinition]:
    """A sensor for each way a run can end. They run by default; `settings` are those of `run_status_sensor`."""
    reporter = Reporter(client)
    settings = {"default_status": DefaultSensorStatus.RUNNING, **settings}

    def sensor(status: DagsterRunStatus) -> RunStatusSensorDefinition:
        @run_status_sensor(run_status=status, name=f"chiffon_audit_{status.value.lower()}", **settings)
        def report_to_audit(context: RunStatusSensorContext) -> None:
            report(reporter, context)

        return report_to_audit

    return [sensor(status) for status in STATUSES]


@logs_exceptions
def report(reporter: Reporter, context: RunStatusSensorContext) -> None:
    """Reports the run that the sensor was called for."""
    run = context.dagster_run
    status = STATUSES.get(run.status)
    if status is None:
        return
    stats = context.instance.get_run_stats(run.run_id)
    steps = context.instance.get_run_step_stats(run.run_id)
    reporter.report(
        FinishedTask(
            source="dagster",
            source_id=run.run_id,
            status=status,
            native_state=run.status.value,
            plan_id=run.job_name,
            output={
                "message": context.dagster_event.message,
                "steps": [{"stepKey": step.step_key, "status": step.status.value if step.status else None} for step in steps],
            },
            services=sorted(step.step_key for step in steps),
            start=stats.start_time,
            end=stats.end_time,
            metadata={
                "tags": dict(run.tags) or None,
                "root_run_id": run.root_run_id,
                # A run that is executed again has another id.
                "attempt_of": task_id("dagster", run.root_run_id) if run.root_run_id else None,
            },
        )
    )
