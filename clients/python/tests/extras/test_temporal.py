"""The interceptor of Temporal, in the environment that its package has for tests of activities. Needs temporalio."""

import asyncio
import dataclasses
import unittest

from chiffon_audit import Client
from support import ExtraTest, snippet
from temporalio import activity
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from chiffon_audit.temporal import AuditInterceptor


class Innermost(ActivityInboundInterceptor):
    """Ends the chain of interceptors, as a worker does: it calls the activity."""

    def __init__(self) -> None:
        pass

    async def execute_activity(self, input: ExecuteActivityInput) -> object:
        return await input.fn(*input.args)


class TemporalTest(ExtraTest):
    def run_activity(self, client: Client, activity_id: str, function: object, *arguments: object, **info: object) -> object:
        environment = ActivityEnvironment()
        named = {"workflow_id": "order/42", "workflow_run_id": "5a1c", "activity_id": activity_id, **info}
        environment.info = dataclasses.replace(environment.info, **named)
        chain = AuditInterceptor(client).intercept_activity(Innermost())

        async def execute() -> object:
            return await chain.execute_activity(ExecuteActivityInput(fn=function, args=arguments, executor=None, headers={}))

        return asyncio.run(environment.run(execute))

    def test_activities_are_recorded_by_attempt(self) -> None:
        names: dict = {}
        exec(compile(snippet("temporal.md"), "temporal.md", "exec"), names)

        @activity.defn
        async def broken() -> None:
            raise ConnectionError("no route")

        @activity.defn
        async def stopped() -> None:
            raise asyncio.CancelledError

        @activity.defn
        async def elsewhere() -> None:
            activity.raise_complete_async()

        with Client(self.service.url, spool=self.spool, drain_every=1) as client:
            self.assertEqual(self.run_activity(client, "1", names["charge"], "42"), "charged 42")
            for attempt in (1, 2):
                with self.assertRaises(ConnectionError):
                    self.run_activity(client, "2", broken, attempt=attempt)
            with self.assertRaises(asyncio.CancelledError):
                self.run_activity(client, "3", stopped)
            with self.assertRaises(BaseException):
                self.run_activity(client, "4", elsewhere)
            entries = self.entries(4)
        states = {
            (entry["metadata"]["source_id"], entry["metadata"].get("attempt", 1)): entry["status"] for entry in entries
        }
        self.assertEqual(
            states,
            {
                ("order/42/5a1c/1", 1): "completed",
                ("order/42/5a1c/2", 1): "failed",
                ("order/42/5a1c/2", 2): "failed",
                ("order/42/5a1c/3", 1): "cancelled",
            },
        )
        self.assertEqual({entry["plan_id"] for entry in entries}, {"order/42/5a1c"})


if __name__ == "__main__":
    unittest.main()
