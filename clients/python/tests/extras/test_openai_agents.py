"""The tracing processor of OpenAI Agents. Needs openai-agents."""

import unittest

from support import ExtraTest

AGENT = """
import asyncio
from agents import Agent, ModelResponse, Runner, Usage, function_tool, set_trace_processors
from agents.models.interface import Model
from chiffon_audit.openai_agents import AuditProcessor
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

set_trace_processors([AuditProcessor()])

@function_tool
def deploy(revision: str) -> str:
    return f"deployed {revision}"

class Scripted(Model):
    turn = 0

    async def get_response(self, *arguments, **named):
        self.turn += 1
        if self.turn == 1:
            said = ResponseFunctionToolCall(call_id="1", name="deploy", arguments='{"revision": "4f2a"}', type="function_call")
        else:
            text = ResponseOutputText(text="done", type="output_text", annotations=[])
            said = ResponseOutputMessage(id="m", content=[text], role="assistant", status="completed", type="message")
        return ModelResponse(output=[said], usage=Usage(), response_id=None)

    def stream_response(self, *arguments, **named):
        raise NotImplementedError

agent = Agent(name="deployer", model=Scripted(), tools=[deploy])
print(asyncio.run(Runner.run(agent, "deploy 4f2a")).final_output)
"""


EXPORTED = """
import json
from agents import agent_span, function_span, generation_span, set_trace_processors, trace
from chiffon_audit.openai_agents import AuditProcessor

class Exporting(AuditProcessor):
    def on_span_end(self, span):
        super().on_span_end(span)
        print(json.dumps(span.export()))

set_trace_processors([Exporting()])
with trace("w"):
    with agent_span("a", tools=["t1", "t2"]), function_span("f", input="x", output="y"):
        pass
    with generation_span(usage={"input_tokens": 3}):
        pass
    with generation_span(usage={"input_tokens": 3}) as span:
        span.set_error({"message": "no", "data": {"code": None}})
"""


class OpenAiAgentsTest(ExtraTest):
    def setUp(self) -> None:
        super().setUp()
        # The SDK's own exporter must not look for its service.
        self.environment.update(OPENAI_AGENTS_DISABLE_TRACING="0", OPENAI_API_KEY="")

    def test_the_spans_of_the_how_to_page_are_recorded(self) -> None:
        ran = self.run_snippet("openai-agents.md")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        entries = {entry["dispatch_info"]["agent_pool"]: entry for entry in self.entries(2)}
        self.assertEqual({pool: entry["status"] for pool, entry in entries.items()}, {"function": "completed", "custom": "failed"})
        self.assertEqual({entry["plan_id"] for entry in entries.values()}, {"trace_00000000000000000000000000000007"})
        self.assertEqual(entries["function"]["dispatch_info"]["agent_id"], "read_changelog")
        self.assertEqual(entries["custom"]["execution_result"]["outcome"]["error"]["message"], "the site is locked")

    def test_the_steps_of_an_agent_are_recorded(self) -> None:
        ran = self.run_python("-c", AGENT)
        self.assertEqual(ran.stdout.strip(), "done", ran.stderr)
        found: dict = {}
        for entry in self.entries_at_least(2):
            found.setdefault(entry["dispatch_info"]["agent_pool"], entry)
        self.assertEqual(found["agent"]["execution_result"]["services_touched"], ["deploy"])
        self.assertEqual(found["function"]["execution_result"]["outcome"]["span_data"]["output"], "deployed 4f2a")

    def test_an_exported_span_is_the_same_outcome_as_the_reported_one(self) -> None:
        ran = self.run_python("-c", EXPORTED)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.entries(4)
        for exported in ran.stdout.splitlines():
            headers = {"Content-Type": "application/json"}
            path = "/api/v1/outcomes?from=openai-agents&wait=committed"
            answer = self.service.http.post(path, headers=headers, content=exported)
            self.assertEqual((answer.status_code, answer.json()["repeated"]), (200, True), answer.text)


if __name__ == "__main__":
    unittest.main()
