"""Prefect's hooks, with real flows on a temporary server. Needs prefect."""

import unittest

from support import ExtraTest


RETRIED = """
from chiffon_audit.prefect import flow_hooks, task_hooks
from prefect import flow, task

ran = []

@task(retries=1, **task_hooks())
def flaky():
    ran.append(1)
    if len(ran) == 1:
        raise ConnectionError("no route")

@flow(**flow_hooks())
def retried():
    flaky()

retried()
"""


class PrefectTest(ExtraTest):
    def setUp(self) -> None:
        super().setUp()
        self.environment.update(PREFECT_HOME=str(self.directory / "prefect"), PREFECT_SERVER_ANALYTICS_ENABLED="false", DO_NOT_TRACK="1")
        self.environment.update(PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="180")

    def test_the_run_count_is_the_attempt(self) -> None:
        ran = self.run_python("-c", RETRIED)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        entries = self.entries(2)
        (task,) = (entry for entry in entries if entry["execution_result"]["services_touched"])
        self.assertEqual((task["status"], task["execution_result"]["resources_used"]["run_count"]), ("completed", 2))
        self.assertEqual((task["metadata"]["attempt"], task["metadata"]["attempt_of"]), (2, task["metadata"]["source_id"]))

    def test_runs_of_flows_and_tasks_are_reported(self) -> None:
        ran = self.run_snippet("prefect.md")
        self.assertIn("PermissionError: image:1.4 is locked", ran.stderr)
        self.assertNotIn("cannot report", ran.stderr)
        entries = self.entries(3)
        (flow,) = (entry for entry in entries if not entry["execution_result"]["services_touched"])
        tasks = {entry["metadata"]["name"].split("-")[0]: entry for entry in entries if entry is not flow}
        self.assertEqual({name: entry["status"] for name, entry in tasks.items()}, {"build": "completed", "publish": "failed"})
        self.assertEqual(flow["status"], "failed")
        self.assertEqual(flow["metadata"]["parameters"], {"version": "1.4"})
        self.assertEqual({entry["plan_id"] for entry in tasks.values()}, {flow["metadata"]["source_id"]})
        self.assertIn("image:1.4 is locked", tasks["publish"]["execution_result"]["outcome"]["message"])
        self.assertIsNotNone(tasks["publish"]["execution_result"]["start_time"])


if __name__ == "__main__":
    unittest.main()
