"""Prefect's hooks, with real flows on a temporary server. Needs prefect."""

import unittest

from support import ExtraTest


class PrefectTest(ExtraTest):
    def test_runs_of_flows_and_tasks_are_reported(self) -> None:
        self.environment.update(PREFECT_HOME=str(self.directory / "prefect"), PREFECT_SERVER_ANALYTICS_ENABLED="false", DO_NOT_TRACK="1")
        self.environment.update(PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="180")
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
