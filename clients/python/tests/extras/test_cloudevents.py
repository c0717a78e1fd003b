"""The official package of CloudEvents against the service. Needs cloudevents."""

import unittest

from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from support import ExtraTest


class CloudEventsTest(ExtraTest):
    def test_the_event_of_the_how_to_page_is_recorded(self) -> None:
        ran = self.run_snippet("tekton-and-cdevents.md")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        entry = self.service.find("/ci/shop/pipelinerun-17")
        self.assertEqual(entry["status"], "failed")
        self.assertEqual(entry["execution_result"]["outcome"]["errors"], "the site is locked")
        self.assertEqual(entry["execution_result"]["services_touched"], ["release"])

    def test_both_modes_of_the_official_package_are_understood(self) -> None:
        def event(number: int, kind: str, data: dict) -> CloudEvent:
            attributes = {"id": f"é {number}", "source": "/ci", "type": kind, "specversion": "1.0", "datacontenttype": "application/json"}
            return CloudEvent(attributes=attributes, data=data)

        def tekton(name: str) -> dict:
            return {"taskRun": {"metadata": {"uid": f"uid-{name}", "name": name, "namespace": "ci"}, "status": {}}}

        def post(message: object) -> dict:
            answer = self.service.http.post("/api/v1/cloudevents", headers=message.headers, content=message.body)
            self.assertIn(answer.status_code, (200, 202), answer.text)
            return answer.json()

        post(to_binary_event(event(1, "dev.tekton.event.taskrun.successful.v1", tekton("a"))))
        post(to_structured_event(event(2, "dev.tekton.event.taskrun.failed.v1", tekton("b"))))
        post(to_binary_event(event(3, "chiffon.audit.outcome.v1", {"task_id": "c", "status": "rejected"})))
        self.assertEqual(post(to_binary_event(event(4, "org.example.unknown", {})))["result"], "unmapped")
        states = {entry["task_id"]: entry["status"] for entry in self.entries(3)}
        self.assertEqual(states, {"uid-a": "completed", "uid-b": "failed", "c": "rejected"})


if __name__ == "__main__":
    unittest.main()
