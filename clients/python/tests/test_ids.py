"""Ids are encoded as the service encodes them. `BIN` is the program."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from chiffon_audit import task_id

BIN = os.environ.get("BIN", "chiffon-audit")

ORIGINALS = [
    "a", "deploy-42.2", "a:b", "a/b", "A-B", "a-b", "...", "日本", "-9jtiNIXfCs6", "folder/job#12", "nightly build", "com1.x", "nul", "CON",
    "com10", "x.lock", "a..b", "a.", "chiffon-audit.end", "x" * 128, "x" * 129, "é" * 2048, "ends-", "_x", "tab\tnew\nline", "A--//--B",
    "x-86e81884c41849bf6605339e5fe49e71951265d0", "\U0001f600",
]  # fmt: skip

MAP = """
schema = 1
source = "quartz"
[[record]]
task_id = "/id"
attempt = "/try"
status = { at = "/state", completed = ["ok"] }
"""


class IdsTest(unittest.TestCase):
    def test_ids_and_attempts_are_the_ones_that_a_map_makes(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            map_file, sample = Path(directory, "quartz.toml"), Path(directory, "sample.ndjson")
            map_file.write_text(MAP)
            cases = [(original, attempt) for original in ORIGINALS for attempt in (0, 1, 2, 17)]
            records = [{"id": original, "try": attempt, "state": "ok"} for original, attempt in cases]
            sample.write_text("".join(json.dumps(record) + "\n" for record in records))
            environment = {**os.environ, "HOME": directory}
            trail = str(Path(directory, "trail.git"))
            subprocess.run(["git", "init", "-q", "--bare", trail], check=True)
            command = [BIN, "-C", trail, "ingest", "--map", str(map_file), str(sample)]
            ingested = subprocess.run(command, env=environment, capture_output=True, text=True)
            self.assertEqual(ingested.returncode, 0, ingested.stderr)
            paths = subprocess.run(
                ["git", "-C", trail, "ls-tree", "-r", "--name-only", "HEAD"], check=True, capture_output=True, text=True
            ).stdout.split()
            recorded = {Path(path).stem for path in paths if path.startswith(".audit/tasks/")}
        self.assertEqual({task_id("quartz", original, attempt) for original, attempt in cases}, recorded)

    def test_ids_that_cannot_be_encoded_are_refused(self) -> None:
        for original in ("", "x" * 4097, "half \ud83d"):
            with self.assertRaises(ValueError):
                task_id("quartz", original)


if __name__ == "__main__":
    unittest.main()
