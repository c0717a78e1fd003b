"""A real service for the tests. `BIN` is the program."""

import logging
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

# What the package logs is no output of the tests; some of them check it.
logging.getLogger("chiffon_audit").addHandler(logging.NullHandler())

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
        self.http = httpx.Client(base_url=self.url)
        self.process: subprocess.Popen[bytes] | None = None
        self.environment = {**os.environ, "HOME": str(directory / "home")}
        subprocess.run(["git", "init", "-q", "--bare", str(directory / "audit.git")], check=True)

    def start(self, **settings: str) -> None:
        command = [BIN, "-C", "audit.git", "serve", "--listen", f"127.0.0.1:{self.port}", "--log", "error", "--drain", "0"]
        self.process = subprocess.Popen(
            command, cwd=self.directory, env={**self.environment, **settings}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while True:
            try:
                if self.http.get("/healthz").status_code == 200:
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
        answer = self.http.get(f"/api/v1/tasks/{task_id}")
        return answer.json().get("state", "unknown")

    def entry(self, task_id: str) -> dict:
        for _ in range(1500):
            answer = self.http.get(f"/api/v1/tasks/{task_id}/entry")
            if answer.status_code == 200:
                return answer.json()
            time.sleep(0.02)
        raise AssertionError(f"{task_id} is not recorded: {answer.text}")

    def find(self, source_id: str) -> dict:
        """The entry of the task with this original id."""
        for _ in range(1500):
            answer = self.http.get("/api/v1/tasks", params={"source_id": source_id})
            tasks = answer.json().get("tasks", [])
            if tasks:
                return self.entry(tasks[0]["task_id"])
            time.sleep(0.02)
        raise AssertionError(f"{source_id} is not recorded: {answer.text}")


class ServiceTest(unittest.TestCase):
    """A test with a directory, a spool in it, and a service that is not started."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.spool = self.directory / "spool"
        self.service = Service(self.directory)
        self.addCleanup(self.service.http.close)
        self.addCleanup(self.service.kill)

    def outcome(self, task_id: str, status: str = "completed") -> dict:
        return {"task_id": task_id, "status": status}


PAGES = Path(__file__).parents[3] / "docs" / "src" / "how-to"


def snippet(page: str) -> str:
    """The Python code of a how-to page."""
    _, _, rest = (PAGES / page).read_text().partition("\n```python\n")
    code, _, _ = rest.partition("\n```\n")
    return code + "\n"


class ExtraTest(ServiceTest):
    """A test of what a how-to page shows, with the real package and a service."""

    def setUp(self) -> None:
        super().setUp()
        self.service.start()
        self.environment = {
            **os.environ,
            "CHIFFON_AUDIT_URL": self.service.url,
            "CHIFFON_AUDIT_SPOOL": str(self.spool),
            "HOME": str(self.directory / "home"),
            "PYTHONPATH": os.pathsep.join([str(self.directory), os.environ.get("PYTHONPATH", "")]),
        }

    def run_snippet(self, page: str, name: str = "snippet.py") -> "subprocess.CompletedProcess[str]":
        """Runs the page's code as a program."""
        (self.directory / name).write_text(snippet(page))
        return self.run_python(name)

    def run_python(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs Python in the test's directory, as a user of the package would."""
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.directory, env=self.environment, capture_output=True, text=True
        )

    def entries(self, count: int) -> list[dict]:
        """All entries, once there are this many."""
        entries = self.entries_at_least(count)
        self.assertEqual(len(entries), count, entries)
        return entries

    def entries_at_least(self, count: int) -> list[dict]:
        """All entries, once there are this many or more."""
        for _ in range(1500):
            tasks = self.service.http.get("/api/v1/audit/query", params={"limit": 100}).json()["tasks"]
            if len(tasks) >= count:
                break
            time.sleep(0.02)
        return [task["entry"] for task in tasks]
