"""The official client of OpenLineage against the service. Needs openlineage-python."""

import datetime
import unittest
import uuid

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import error_message_run, parent_run
from openlineage.client.transport.http import HttpConfig, HttpTransport
from support import ExtraTest


class OpenLineageTest(ExtraTest):
    def test_runs_of_the_official_client_are_recorded(self) -> None:
        client = OpenLineageClient(transport=HttpTransport(HttpConfig(url=self.service.url)))
        parent = str(uuid.uuid4())

        def emit(run: str, state: RunState, **facets: object) -> None:
            facets["parent"] = parent_run.ParentRunFacet(
                run=parent_run.Run(runId=parent), job=parent_run.Job(namespace="shop", name="nightly")
            )
            event = RunEvent(
                eventType=state,
                eventTime=datetime.datetime.now(datetime.timezone.utc).isoformat(),
                run=Run(runId=run, facets=facets),
                job=Job(namespace="shop", name="load"),
                producer="https://example.org/tests",
                outputs=[OutputDataset(namespace="db", name="orders")],
            )
            client.emit(event)

        runs = {state: str(uuid.uuid4()) for state in (RunState.COMPLETE, RunState.FAIL, RunState.ABORT)}
        for end, run in runs.items():
            emit(run, RunState.START)
            emit(run, RunState.RUNNING)
            error = error_message_run.ErrorMessageRunFacet(message="no route", programmingLanguage="python", stackTrace="at 1")
            emit(run, end, **({"errorMessage": error} if end == RunState.FAIL else {}))
        client.close()
        entries = {entry["task_id"]: entry for entry in self.entries(3)}
        found = [entries[runs[state]] for state in (RunState.COMPLETE, RunState.FAIL, RunState.ABORT)]
        self.assertEqual([entry["status"] for entry in found], ["completed", "failed", "cancelled"])
        self.assertEqual({entry["plan_id"] for entry in found}, {parent})
        self.assertEqual(found[0]["execution_result"]["services_touched"], ["db/orders"])
        self.assertEqual(found[1]["execution_result"]["outcome"]["error"], "no route")


if __name__ == "__main__":
    unittest.main()
