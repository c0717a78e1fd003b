"""Celery's signals, with real workers on a broker of files. Needs celery."""

import subprocess
import sys
import unittest

from support import ExtraTest, snippet

CONFIG = """
broker_url = "filesystem://"
broker_transport_options = {{"data_folder_in": {folder!r}, "data_folder_out": {folder!r}, "control_folder": {control!r}}}
result_backend = "file://" + {results!r}
worker_hijack_root_logger = False
"""

MORE = """

@app.task(bind=True, max_retries=2, default_retry_delay=0)
def flaky(self):
    if self.request.retries < 1:
        raise self.retry()


@app.task(acks_late=True)
def late(name):
    return float("nan")
"""

SEND = """
import tasks
for task, arguments in ((tasks.deploy, ("4f2a",)), (tasks.migrate, ("orders",)), (tasks.flaky, ()), (tasks.late, ("x",))):
    task.apply_async(arguments, task_id=f"{task.__name__}:1")
tasks.deploy.apply_async(("late",), task_id="expired:1", expires=-1)
"""


class CeleryTest(ExtraTest):
    def test_a_worker_reports_what_it_finishes(self) -> None:
        for pool in ("prefork", "threads"):
            with self.subTest(pool=pool):
                self.setUp()
                self.check(pool)

    def check(self, pool: str) -> None:
        folders = {name: str(self.directory / name) for name in ("folder", "control", "results")}
        for folder in folders.values():
            (self.directory / folder).mkdir()
        (self.directory / "celeryconfig.py").write_text(CONFIG.format(**folders))
        (self.directory / "tasks.py").write_text(snippet("celery.md") + MORE)
        sent = self.run_python("-c", SEND)
        self.assertEqual(sent.returncode, 0, sent.stderr)
        command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-P", pool, "-c", "2", "--without-gossip", "--without-mingle"]
        with open(self.directory / "log", "w") as log:
            worker = subprocess.Popen(command, cwd=self.directory, env=self.environment, stdout=log, stderr=log)
        try:
            entries = {entry["metadata"]["source_id"]: entry for entry in self.entries(5)}
        except AssertionError:
            print((self.directory / "log").read_text())
            raise
        finally:
            worker.terminate()
            worker.wait()
        states = {source_id: entry["status"] for source_id, entry in entries.items()}
        self.assertEqual(
            states,
            {"deploy:1": "completed", "migrate:1": "failed", "flaky:1": "completed", "late:1": "completed", "expired:1": "cancelled"},
        )
        deploy, migrate = entries["deploy:1"], entries["migrate:1"]
        self.assertEqual(deploy["execution_result"]["outcome"], {"revision": "4f2a", "native_state": "SUCCESS"})
        self.assertEqual(deploy["execution_result"]["services_touched"], ["tasks.deploy"])
        self.assertEqual(deploy["dispatch_info"]["agent_pool"], "celery")
        self.assertIsNotNone(deploy["execution_result"]["start_time"])
        self.assertEqual(migrate["execution_result"]["outcome"]["error"], "ConnectionError: no route to orders")
        self.assertIn("Traceback", migrate["execution_result"]["outcome"]["traceback"])
        self.assertEqual(entries["flaky:1"]["execution_result"]["resources_used"], {"retries": 1})
        self.assertEqual(entries["late:1"]["execution_result"]["outcome"]["output"], "nan")


if __name__ == "__main__":
    unittest.main()
