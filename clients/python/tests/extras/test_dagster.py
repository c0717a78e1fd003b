"""Dagster's sensors, evaluated as its daemon does. Needs dagster."""

import unittest

from support import ExtraTest

DAEMON = """
import sys
from dagster import DagsterInstance, DagsterRunStatus, build_run_status_sensor_context, op, job
from snippet import defs

@op
def broken():
    raise ConnectionError("no route")

@job
def failing():
    broken()

with DagsterInstance.ephemeral() as instance:
    for run, status in ((defs.resolve_job_def("release"), DagsterRunStatus.SUCCESS), (failing, DagsterRunStatus.FAILURE)):
        result = run.execute_in_process(instance=instance, raise_on_error=False)
        (event,) = (event for event in result.all_events if event.event_type_value == f"PIPELINE_{status.value}")
        sensor = defs.resolve_sensor_def(f"chiffon_audit_{status.value.lower()}")
        dagster_run = instance.get_run_by_id(result.run_id)
        if run is failing:
            dagster_run = dagster_run._replace(root_run_id="first", parent_run_id="first")
        context = build_run_status_sensor_context(
            sensor_name=sensor.name, dagster_event=event, dagster_instance=instance, dagster_run=dagster_run
        )
        sensor(context)
        print(result.run_id)
"""


class DagsterTest(ExtraTest):
    def test_runs_are_reported(self) -> None:
        self.environment.update(DAGSTER_HOME=str(self.directory), DAGSTER_DISABLE_TELEMETRY="yes")
        imported = self.run_snippet("dagster.md")
        self.assertEqual(imported.returncode, 0, imported.stderr)
        ran = self.run_python("-c", DAEMON)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        entries = {entry["plan_id"]: entry for entry in self.entries(2)}
        self.assertEqual({plan: entry["status"] for plan, entry in entries.items()}, {"release": "completed", "failing": "failed"})
        self.assertEqual([entries["release"]["task_id"], entries["failing"]["task_id"]], ran.stdout.split())
        self.assertEqual(entries["failing"]["execution_result"]["services_touched"], ["broken"])
        self.assertEqual(entries["failing"]["execution_result"]["outcome"]["steps"], [{"stepKey": "broken", "status": "FAILURE"}])
        self.assertIsNotNone(entries["release"]["execution_result"]["end_time"])
        self.assertEqual([entries[plan]["metadata"].get("attempt_of") for plan in ("release", "failing")], [None, "first"])


if __name__ == "__main__":
    unittest.main()
