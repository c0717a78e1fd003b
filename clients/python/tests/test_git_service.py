"""The seed's `GitService`, which the package keeps for programs that use it. `BIN` is the program."""

import asyncio
import os
import subprocess
import tempfile
import types
import unittest

from chiffon_audit.git_service import GitService, GitServiceError

BIN = os.environ.get("BIN", "chiffon-audit")


class GitServiceTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = directory.name
        self.service = GitService(self.directory, BIN)

    def commit(self, **members: object) -> bool:
        task = types.SimpleNamespace(**{"task_id": "deploy-1", "status": "completed", **members})
        return asyncio.run(self.service.commit_task_outcome(task))

    def test_it_answers_as_the_seed_does(self) -> None:
        subprocess.run(["git", "init", "-q", self.directory], check=True)
        self.assertTrue(self.commit())
        self.assertFalse(self.commit())
        with self.assertLogs("chiffon_audit.git_service"), self.assertRaises(GitServiceError) as raised:
            self.commit(status="failed")
        self.assertFalse(raised.exception.retry)

    def test_without_a_repository_it_warns_and_answers_false(self) -> None:
        with self.assertLogs("chiffon_audit.git_service", "WARNING"):
            self.assertFalse(self.commit())


if __name__ == "__main__":
    unittest.main()
