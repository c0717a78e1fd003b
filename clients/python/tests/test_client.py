"""The clients against a real service. `BIN` is the program."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import httpx

from chiffon_audit import AsyncClient, Client, Refused, Unavailable

BIN = os.environ.get("BIN", "chiffon-audit")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Service:
    """A trail, and the program serving it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {**os.environ, "HOME": str(directory / "home")}
        subprocess.run(["git", "init", "-q", "--bare", str(directory / "audit.git")], check=True)

    def start(self) -> None:
        command = [BIN, "-C", "audit.git", "serve", "--listen", f"127.0.0.1:{self.port}", "--log", "error", "--drain", "0"]
        self.process = subprocess.Popen(
            command, cwd=self.directory, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while True:
            try:
                if httpx.get(f"{self.url}/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if self.process.poll() is not None:
                raise RuntimeError(f"the service ended with {self.process.returncode}")
            time.sleep(0.02)

    def kill(self) -> None:
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None

    def state(self, task_id: str) -> str:
        answer = httpx.get(f"{self.url}/api/v1/tasks/{task_id}")
        return answer.json().get("state", "unknown")

    def entry(self, task_id: str) -> dict:
        for _ in range(500):
            answer = httpx.get(f"{self.url}/api/v1/tasks/{task_id}/entry")
            if answer.status_code == 200:
                return answer.json()
            time.sleep(0.02)
        raise AssertionError(f"{task_id} is not recorded: {answer.text}")


class ClientTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.spool = self.directory / "spool"
        self.service = Service(self.directory)
        self.addCleanup(self.service.kill)

    def outcome(self, task_id: str, status: str = "completed") -> dict:
        return {"task_id": task_id, "status": status}

    def test_an_outcome_is_accepted_and_on_request_committed(self) -> None:
        self.service.start()
        with Client(self.service.url) as client:
            self.assertTrue(client.report(self.outcome("a")).accepted)
            receipt = client.report(self.outcome("b"), wait=True)
            self.assertEqual(receipt.state, "committed")
            self.assertTrue(client.report(self.outcome("b"), wait=True).repeated)

    def test_a_refused_outcome_raises_and_is_never_spooled(self) -> None:
        self.service.start()
        with Client(self.service.url, spool=self.spool) as client:
            with self.assertRaisesRegex(Refused, "/status"):
                client.report(self.outcome("a", "shrug"))
            self.assertEqual(client.drain().waiting, 0)

    def test_without_a_spool_a_service_that_is_away_is_an_error(self) -> None:
        with Client(self.service.url, attempts=2) as client:
            with self.assertRaises(Unavailable):
                client.report(self.outcome("a"))

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

    def test_a_task_ends_with_its_block_and_an_exception_makes_it_failed(self) -> None:
        self.service.start()
        with Client(self.service.url) as client:
            with client.task("good", plan_id="p") as task:
                task.output["x"] = {1}
                task.services.append("checkout")
            with self.assertRaises(ZeroDivisionError):
                with client.task("bad", metadata={"approver": "mara"}):
                    1 / 0
        good, bad = self.service.entry("good"), self.service.entry("bad")
        self.assertEqual((good["status"], good["plan_id"]), ("completed", "p"))
        self.assertEqual(good["execution_result"]["outcome"], {"x": [1]})
        self.assertEqual((bad["status"], bad["metadata"]), ("failed", {"approver": "mara"}))
        self.assertIn("ZeroDivisionError", bad["execution_result"]["outcome"]["traceback"])

    def test_half_a_surrogate_pair_can_be_reported(self) -> None:
        self.service.start()
        with Client(self.service.url) as client:
            with client.task("a") as task:
                task.output["stdout"] = "\ud83d"
        self.assertEqual(self.service.entry("a")["execution_result"]["outcome"]["stdout"], "\ufffd")

    def test_any_id_can_be_reported(self) -> None:
        self.service.start()
        with Client(self.service.url, encode_ids=True) as client:
            self.assertTrue(client.report(self.outcome("order/42")).accepted)

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

    def test_the_coroutines_do_the_same(self) -> None:
        async def run() -> None:
            async with AsyncClient(self.service.url, spool=self.spool) as client:
                self.assertTrue((await client.report(self.outcome("a"))).spooled)
                self.service.start()
                self.assertEqual((await client.drain()).accepted, 1)
                async with client.task("b"):
                    pass
                with self.assertRaises(ValueError):
                    async with client.task("c"):
                        raise ValueError("x")

        asyncio.run(run())
        self.assertEqual(self.service.entry("b")["status"], "completed")
        self.assertEqual(self.service.entry("c")["status"], "failed")

    def test_nothing_is_lost_while_the_service_is_killed_again_and_again(self) -> None:
        kills, each = int(os.environ.get("KILLS", "3")), 50
        self.service.start()
        for round_ in range(kills):
            with Client(self.service.url, spool=self.spool, attempts=1) as client:
                for index in range(each):
                    client.report(self.outcome(f"t-{round_}-{index}"))
                    if index == each // 2:
                        self.service.kill()
            self.service.start()
            with Client(self.service.url, spool=self.spool) as client:
                self.assertEqual(client.drain().waiting, 0)
        for round_ in range(kills):
            for index in range(each):
                self.assertEqual(self.service.entry(f"t-{round_}-{index}")["status"], "completed")


if __name__ == "__main__":
    unittest.main()
