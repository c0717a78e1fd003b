"""The clients against a real service. `BIN` is the program."""

import asyncio
import subprocess
import sys
import threading
import unittest
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from chiffon_audit import AsyncClient, Client, Refused, Unavailable
from support import ServiceTest, snippet


class ClientTest(ServiceTest):
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
            # The failure delays no later report.
            self.service.start()
            self.assertTrue(client.report(self.outcome("a")).accepted)

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

    def test_a_report_that_fails_does_not_hide_the_exception_of_the_task(self) -> None:
        with Client(self.service.url, attempts=1) as client:
            with self.assertLogs("chiffon_audit"), self.assertRaises(ZeroDivisionError):
                with client.task("bad"):
                    1 / 0
            with self.assertRaises(Unavailable):
                with client.task("good"):
                    pass

    def test_a_conflict_is_kept_and_counts_as_accepted(self) -> None:
        self.service.start()
        with Client(self.service.url, spool=self.spool) as client:
            client.report(self.outcome("a"), wait=True)
            receipt = client.report(self.outcome("a", "failed"), wait=True)
            self.assertEqual((receipt.accepted, receipt.state), (True, "conflicting"))

    def test_an_answer_that_is_not_the_services_is_no_receipt(self) -> None:
        class Proxy(BaseHTTPRequestHandler):
            status = 200

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(self.status)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<h1>Sign in</h1>")

            def log_message(self, *_: object) -> None:
                pass

        proxy = HTTPServer(("127.0.0.1", self.service.port), Proxy)
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            for Proxy.status in (200, 302, 400, 401, 404, 413, 502):
                with self.subTest(status=Proxy.status):
                    with Client(self.service.url, attempts=1) as client:
                        with self.assertRaises(Unavailable):
                            client.report(self.outcome("a"))
                    with Client(self.service.url, spool=self.spool) as client, self.assertLogs("chiffon_audit"):
                        self.assertTrue(client.report(self.outcome("a")).spooled)
                        drained = client.drain()
                        self.assertEqual((drained.accepted, drained.refused), (0, 0))
                        self.assertGreater(drained.waiting, 0)
        finally:
            proxy.shutdown()
            thread.join()
            proxy.server_close()

    def test_a_document_of_any_values_can_be_reported(self) -> None:
        self.service.start()
        itself: dict = {}
        itself["self"] = itself
        with Client(self.service.url) as client:
            with client.task("a") as task:
                task.output.update(keys={(1, 2): "x"}, itself=itself, error=ValueError("no"), kind=object)
        found = self.service.entry("a")["execution_result"]["outcome"]
        self.assertEqual(found["keys"], {"(1, 2)": "x"})
        self.assertEqual(found["error"], "ValueError: no")

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

    def test_the_code_of_the_how_to_page_and_of_the_readme_runs(self) -> None:
        self.service.start()
        readme = (Path(__file__).parents[1] / "README.md").read_text()
        for text in (snippet("python.md"), readme.split("\n```python\n")[1].split("\n```\n")[0]):
            code = text.replace("http://127.0.0.1:8787", self.service.url).replace("/var/spool/chiffon-audit", str(self.spool))
            ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            self.assertEqual((ran.stderr, ran.stdout), ("", "Drained(accepted=0, refused=0, waiting=0)\n"))
        self.assertEqual(self.service.entry("deploy-2")["plan_id"], "release-7")

    def test_the_coroutines_do_the_same(self) -> None:
        async def run() -> None:
            async with AsyncClient(self.service.url, spool=self.spool) as client:
                self.assertTrue((await client.report(self.outcome("a"))).spooled)
                self.assertTrue((await client.report_later(self.outcome("d"))).spooled)
                self.service.start()
                self.assertEqual((await client.drain()).accepted, 2)
                async with client.task("b"):
                    pass
                with self.assertRaises(ValueError):
                    async with client.task("c"):
                        raise ValueError("x")

        asyncio.run(run())
        self.assertEqual(self.service.entry("b")["status"], "completed")
        self.assertEqual(self.service.entry("c")["status"], "failed")

    def test_a_coroutine_that_can_neither_send_nor_spool_raises(self) -> None:
        async def run() -> None:
            async with AsyncClient(self.service.url, attempts=2) as client:
                with self.assertRaisesRegex(Unavailable, "ConnectError"):
                    await client.report(self.outcome("a"))
                self.service.start()
                with self.assertRaisesRegex(Refused, "/status"):
                    await client.report(self.outcome("a", "shrug"))

        asyncio.run(run())


if __name__ == "__main__":
    unittest.main()
