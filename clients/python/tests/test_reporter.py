"""Reports of the modules for other systems, which must never disturb a task. `BIN` is the program."""

import subprocess
import sys
import unittest

from chiffon_audit import Client, task_id
from chiffon_audit._finished_task import FinishedTask
from chiffon_audit._reporter import Reporter
from support import ExtraTest, ServiceTest

SCRIPT = """
import sys
from chiffon_audit._finished_task import FinishedTask
from chiffon_audit._reporter import Reporter
Reporter().report(FinishedTask("quartz", sys.argv[1], "completed", "OK"))
Reporter().flush()
print("the task continues")
"""


class ReporterTest(ServiceTest):
    def report(self, **facts: object) -> dict:
        """Reports a task with these facts, and returns its entry."""
        with Client(self.service.url, spool=self.spool, drain_every=1) as client:
            Reporter(client).report(FinishedTask("airflow", "Job/1", "completed", "OK", **facts))
        return self.service.find("Job/1")

    def test_what_the_service_would_refuse_is_recorded_in_another_form(self) -> None:
        self.service.start()
        deep: dict = {}
        for _ in range(100):
            deep = {"deep": deep}
        itself: list = []
        itself.append(itself)
        two: dict = {}
        two.update(left=two, right=two)
        output = {"ratio": float("nan"), "large": 10**400, "deep": deep, "itself": itself, "two": two, "half": "\ud83d", 1: {2}}
        found = self.report(output=output)["execution_result"]["outcome"]
        self.assertEqual((found["itself"], found["two"]["right"]), (["<contains itself>"], "<contains itself>"))
        self.assertTrue(found["large"].startswith("0x"))
        self.assertEqual((found["ratio"], found["half"], found["1"]), ("nan", "\ufffd", [2]))
        self.assertEqual(found["native_state"], "OK")

    def test_an_output_beyond_what_a_request_may_have_is_left_out_and_named(self) -> None:
        self.service.start()
        found = self.report(output="x" * (9 << 20))["execution_result"]["outcome"]
        self.assertRegex(found["left_out"], "^94[0-9]{5} bytes, which is more than the service accepts$")
        self.assertIn("xxx", found["beginning"])

    def test_metadata_and_resources_beyond_what_a_request_may_have_are_left_out_too(self) -> None:
        self.service.start()
        large = {"x": "x" * (9 << 20)}
        entry = self.report(attempt=2, output={"code": 0}, resources=large, metadata=large)
        result, metadata = entry["execution_result"], entry["metadata"]
        self.assertEqual(result["outcome"], {"code": 0, "native_state": "OK"})
        self.assertEqual((metadata["source"], metadata["source_id"], metadata["attempt"]), ("airflow", "Job/1", 2))
        self.assertRegex(metadata["attempt_of"], "^job-1-[0-9a-f]{40}$")
        for part in (result["resources_used"], metadata):
            self.assertRegex(part["left_out"], "^94[0-9]{5} bytes")
            self.assertIn("xxx", part["beginning"])

    def test_parts_that_are_large_without_a_long_text_are_left_out_too(self) -> None:
        # The service shortens texts only, and accepts 1 MiB.
        self.service.start()
        many = {f"column-{number}": "x" * 1000 for number in range(600)}
        services = [f"service-{number}" for number in range(50_000)]
        entry = self.report(output=many, resources=many, metadata=many, services=services)
        result = entry["execution_result"]
        for part in (result["outcome"], result["resources_used"], entry["metadata"]):
            self.assertRegex(part["left_out"], "^6[0-9]{5} bytes")
        self.assertEqual((result["outcome"]["native_state"], entry["metadata"]["source_id"]), ("OK", "Job/1"))
        kept = result["services_touched"]
        self.assertEqual((kept, len(kept) + entry["metadata"]["services_left_out"]), (services[: len(kept)], 50_000))

    def test_long_texts_are_left_to_the_service_which_adds_a_digest(self) -> None:
        self.service.start()
        found = self.report(output={"log": "x" * (3 << 20)}, metadata={"note": "\u00e9" * (500 << 10)})
        self.assertIn("bytes left out; sha256:", found["execution_result"]["outcome"]["log"])
        self.assertIn("bytes left out; sha256:", found["metadata"]["note"])

    def test_an_attempt_is_a_separate_task_that_names_the_first(self) -> None:
        self.service.start()
        with Client(self.service.url, spool=self.spool, drain_every=1) as client:
            for attempt in (0, 3):
                Reporter(client).report(FinishedTask("airflow", "Job/1", "completed", "OK", attempt=attempt))
        for attempt in (0, 3):
            entry = self.service.entry(task_id("airflow", "Job/1", attempt))
            self.assertRegex(entry["task_id"], f"^job-1.{attempt}-[0-9a-f]{{40}}$")
            self.assertEqual(entry["metadata"]["attempt"], attempt)
            self.assertRegex(entry["metadata"]["attempt_of"], "^job-1-[0-9a-f]{40}$")


class DefaultTest(ExtraTest):
    def run_script(self, source_id: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", SCRIPT, source_id]
        ran = subprocess.run(command, env={**self.environment, **environment}, capture_output=True, text=True)
        self.assertEqual((ran.returncode, ran.stdout), (0, "the task continues\n"), ran.stderr)
        return ran

    def test_the_environment_says_where_to_report(self) -> None:
        self.run_script("a")
        self.run_script("b", CHIFFON_AUDIT_SPOOL="", XDG_STATE_HOME=str(self.directory / "state"))
        self.assertTrue((self.directory / "state" / "chiffon-audit" / "spool").is_dir())
        for source_id in "ab":
            self.assertEqual(self.service.entry(source_id)["metadata"]["source"], "quartz")

    def test_without_a_spool_it_reports_directly_and_a_service_that_is_away_is_a_warning(self) -> None:
        told = self.run_script("a", CHIFFON_AUDIT_SPOOL="/dev/null/spool")
        self.assertIn("there is no spool", told.stderr)
        self.assertEqual(self.service.entry("a")["status"], "completed")
        self.service.kill()
        told = self.run_script("b", CHIFFON_AUDIT_SPOOL="/dev/null/spool")
        self.assertIn("cannot report that b of quartz ended", told.stderr)

    def test_what_a_process_could_not_send_is_sent_by_the_next_one(self) -> None:
        self.service.kill()
        self.run_script("a")
        self.service.start()
        self.run_script("b")
        self.assertEqual(self.service.entry("a")["status"], "completed")


if __name__ == "__main__":
    unittest.main()
