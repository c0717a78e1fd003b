"""The spool: what is acknowledged is never lost, and nothing else counts as sent. `BIN` is the program."""

import json
import os
import subprocess
import sys
import threading
import unittest

from chiffon_audit import Client
from support import ServiceTest


class SpoolTest(ServiceTest):
    def test_what_is_spooled_survives_a_restart_and_is_drained(self) -> None:
        with Client(self.service.url, spool=self.spool) as client:
            receipt = client.report(self.outcome("a"))
            self.assertTrue(receipt.spooled)
            self.assertFalse(receipt.accepted)
            drained = client.drain()
            self.assertEqual((drained.accepted, drained.waiting), (0, 1))
        self.service.start()
        with Client(self.service.url, spool=self.spool) as client:
            drained = client.drain()
        self.assertEqual((drained.accepted, drained.refused, drained.waiting), (1, 0, 0))
        self.assertEqual(self.service.entry("a")["status"], "completed")

    def test_a_spool_and_the_directories_above_it_are_for_this_user_alone(self) -> None:
        spool = self.directory / "state" / "chiffon-audit" / "spool"
        with Client(self.service.url, spool=spool) as client:
            client.report_later(self.outcome("a", "shrug"))
            self.service.start()
            self.assertEqual(client.drain().refused, 1)
        for directory in (spool / "refused", spool, *spool.parents[:2]):
            self.assertEqual(directory.stat().st_mode & 0o777, 0o700, directory)

    def test_a_spooled_outcome_that_is_refused_is_set_aside_with_the_reason(self) -> None:
        with Client(self.service.url, spool=self.spool) as client:
            client.report(self.outcome("a", "shrug"))
            client.report(self.outcome("b"))
            self.service.start()
            drained = client.drain()
        self.assertEqual((drained.accepted, drained.refused, drained.waiting), (1, 1, 0))
        (aside,) = (self.spool / "refused").iterdir()
        self.assertIn("is not a known status", aside.read_text())

    def test_a_torn_last_line_does_not_hurt_the_others(self) -> None:
        with Client(self.service.url, spool=self.spool) as client:
            client.report(self.outcome("a"))
        (segment,) = self.spool.glob("*.ndjson")
        with segment.open("ab") as file:
            file.write(b'{"task_id":"torn","sta')
        self.service.start()
        with Client(self.service.url, spool=self.spool) as client:
            drained = client.drain()
        self.assertEqual((drained.accepted, drained.refused, drained.waiting), (1, 0, 0))

    def test_what_the_command_hook_has_kept_is_left_to_it(self) -> None:
        with Client(self.service.url, spool=self.spool) as client:
            client.report(self.outcome("a"))
            of_hook = self.spool / "0b5c2f0e-8d0f-4a0c-9d0a-6d0b3a0d5a11.hook.ndjson"
            of_hook.write_text('{"task_id":"b","status":"completed"}\n')
            self.service.start()
            drained = client.drain()
        self.assertEqual((drained.accepted, drained.refused, drained.waiting), (1, 0, 0))
        self.assertTrue(of_hook.exists())

    def test_two_processes_share_one_spool(self) -> None:
        script = (
            "import sys; from chiffon_audit import Client\n"
            "with Client(sys.argv[1], spool=sys.argv[2], attempts=1) as client:\n"
            "    [client.report({'task_id': f'{sys.argv[3]}-{i}', 'status': 'completed'}) for i in range(20)]\n"
        )
        processes = [
            subprocess.Popen([sys.executable, "-c", script, self.service.url, str(self.spool), name]) for name in "ab"
        ]
        self.assertEqual([process.wait() for process in processes], [0, 0])
        self.service.start()
        with Client(self.service.url, spool=self.spool) as client:
            self.assertEqual(client.drain().accepted, 40)

    def test_on_a_full_disk_nothing_is_acknowledged_and_what_was_stays_whole(self) -> None:
        # The limit on file sizes acts as a full disk does: a part of a write is taken, and the next one fails.
        script = (
            "import resource, sys; from chiffon_audit import Client, Unavailable\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
            "with Client(sys.argv[1], spool=sys.argv[2], attempts=1) as client:\n"
            "    for index in range(20):\n"
            "        try:\n"
            "            client.report({'task_id': f'large-{index}', 'status': 'completed', 'plan_id': 'p' * 1100})\n"
            "            raise SystemExit('it was acknowledged')\n"
            "        except Unavailable as error:\n"
            "            assert 'File too large' in str(error), error\n"
            "        client.report({'task_id': f'small-{index}', 'status': 'completed'})\n"
            "        print(f'small-{index}', flush=True)\n"
        )
        command = [sys.executable, "-c", script, self.service.url, str(self.spool)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        self.assertEqual(len(told), 20)
        waiting = {json.loads(line)["task_id"] for path in self.spool.iterdir() for line in path.read_text().splitlines()}
        self.assertEqual(waiting, set(told))
        self.service.start()
        with Client(self.service.url, spool=self.spool) as client:
            self.assertEqual(client.drain().accepted, len(told))

    def test_on_a_full_disk_a_drain_tells_the_truth_and_keeps_what_waits(self) -> None:
        script = (
            "import resource, sys; from chiffon_audit import Client, Unavailable\n"
            "with Client(sys.argv[1], spool=sys.argv[2], attempts=1) as client:\n"
            "    resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))\n"
            "    drained = client.drain()\n"
            "    print(drained.accepted, drained.refused, drained.waiting)\n"
        )
        with Client(self.service.url, spool=self.spool, attempts=1) as client:
            client.report(self.outcome("a"))
            client.report(self.outcome("b", "shrug"))
        self.service.start()
        command = [sys.executable, "-c", script, self.service.url, str(self.spool)]
        told = subprocess.run(command, check=True, capture_output=True, text=True)
        # The refusal could not be set aside, so the document stays, and the segment could not be made shorter.
        self.assertEqual(told.stdout.split(), ["1", "0", "2"], told.stderr)
        with Client(self.service.url, spool=self.spool) as client:
            drained = client.drain()
        self.assertEqual((drained.accepted, drained.refused, drained.waiting), (1, 1, 0))

    def test_a_document_that_the_service_cannot_take_does_not_block_the_others(self) -> None:
        large = {**self.outcome("large"), "metadata": {"x": "x" * (17 << 20)}}
        with Client(self.service.url, spool=self.spool) as client:
            client.report(self.outcome("a"))
            client.report(large)
            client.report(self.outcome("b"))
            self.service.start()
            drained = client.drain()
        self.assertEqual((drained.accepted, drained.refused, drained.waiting), (2, 1, 0))

    def test_a_batch_that_is_too_large_as_a_whole_is_sent_in_smaller_ones(self) -> None:
        with Client(self.service.url, spool=self.spool) as client:
            for index in range(100):
                client.report_later(self.outcome(f"t-{index}"))
            self.service.start(CHIFFON_AUDIT_OUTCOME_ACCEPT_MAX_BYTES="2000")
            drained = client.drain()
        self.assertEqual((drained.accepted, drained.refused, drained.waiting), (100, 0, 0))

    def test_a_process_forked_from_the_reporting_one_reports_too(self) -> None:
        self.service.start()
        with Client(self.service.url, spool=self.spool, drain_every=60) as client:
            client.report(self.outcome("parent"))
            client.report_later(self.outcome("parent-later"))
            child = os.fork()
            if child == 0:
                try:
                    client.report(self.outcome("child"))
                    client.report_later(self.outcome("child-later"))
                    client.close()
                finally:
                    os._exit(0)
            client.report(self.outcome("parent-2"))
            client.report_later(self.outcome("parent-3"))
            os.waitpid(child, 0)
        for task_id in ("parent", "parent-later", "child", "child-later", "parent-2", "parent-3"):
            self.assertEqual(self.service.entry(task_id)["status"], "completed")

    def test_writers_and_drains_in_several_processes_lose_nothing(self) -> None:
        self.service.start()
        script = (
            "import sys; from chiffon_audit import Client\n"
            "with Client(sys.argv[1], spool=sys.argv[2]) as client:\n"
            "    for index in range(100):\n"
            "        client.report_later({'task_id': f'{sys.argv[3]}-{index}', 'status': 'completed'})\n"
            "        if index % 3 == 0: client.drain()\n"
        )
        processes = [
            subprocess.Popen([sys.executable, "-c", script, self.service.url, str(self.spool), name]) for name in "abc"
        ]
        self.assertEqual([process.wait() for process in processes], [0, 0, 0])
        with Client(self.service.url, spool=self.spool) as client:
            drained = client.drain()
        self.assertEqual((drained.refused, drained.waiting), (0, 0))
        for name in "abc":
            for index in range(100):
                self.assertEqual(self.service.entry(f"{name}-{index}")["status"], "completed")

    def test_reports_go_on_while_the_service_is_away_and_a_thread_sends_them_later(self) -> None:
        self.service.start()
        told: list[str] = []

        def load(name: str) -> None:
            for index in range(100):
                receipt = client.report(self.outcome(f"{name}-{index}"))
                self.assertTrue(receipt.accepted or receipt.spooled)
                told.append(f"{name}-{index}")

        with Client(self.service.url, spool=self.spool, drain_every=0.1) as client:
            threads = [threading.Thread(target=load, args=(name,)) for name in "abcd"]
            for thread in threads:
                thread.start()
            self.service.kill()
            for thread in threads:
                thread.join()
            self.service.start()
            # No call of `drain`: the thread does it.
            for task_id in told:
                self.assertEqual(self.service.entry(task_id)["status"], "completed")
        self.assertEqual(len(told), 400)

    def test_nothing_acknowledged_is_lost_while_service_and_client_are_killed_again_and_again(self) -> None:
        kills = int(os.environ.get("KILLS", "3"))
        script = (
            "import itertools, sys; from chiffon_audit import Client\n"
            "client = Client(sys.argv[1], spool=sys.argv[2], attempts=1, drain_every=0.05)\n"
            "for index in itertools.count():\n"
            "    task_id = f'{sys.argv[3]}-{index}'\n"
            "    report = client.report_later if index % 2 else client.report\n"
            "    report({'task_id': task_id, 'status': 'completed'})\n"
            "    print(task_id, flush=True)\n"
        )
        told: list[str] = []
        for round_ in range(kills):
            self.service.start()
            command = [sys.executable, "-c", script, self.service.url, str(self.spool), f"round-{round_}"]
            client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert client.stdout
            for _ in range(40):
                told.append(client.stdout.readline().strip())
            self.service.kill()
            for _ in range(40):
                told.append(client.stdout.readline().strip())
            client.kill()
            told.extend(line.strip() for line in client.stdout if line.endswith("\n"))
            client.wait()
            client.stdout.close()
        self.service.start()
        with Client(self.service.url, spool=self.spool) as client:
            drained = client.drain()
        self.assertEqual((drained.refused, drained.waiting), (0, 0))
        self.assertGreaterEqual(len(told), 80 * kills)
        for task_id in told:
            self.assertEqual(self.service.entry(task_id)["status"], "completed")


if __name__ == "__main__":
    unittest.main()
