"""The callback of LangChain, with LangGraph. Needs langgraph."""

import unittest

from support import ExtraTest

MORE = """
import asyncio, sys
from chiffon_audit.langchain import AuditHandler
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from snippet import State, forecast, weather, tool

@tool
def broken(city: str) -> str:
    "Fails."
    raise LookupError(city)

def graph(node):
    builder = StateGraph(State)
    builder.add_node("node", node)
    builder.add_edge(START, "node")
    builder.add_edge("node", END)
    return builder.compile(checkpointer=InMemorySaver())

config = {"callbacks": [AuditHandler()], "configurable": {"thread_id": sys.argv[1]}}
try:
    graph(lambda state: {"forecast": broken.invoke({"city": state["city"]})}).invoke({"city": "Oslo"}, config)
except LookupError:
    pass
else:
    raise SystemExit("the exception must reach the caller")
graph(lambda state: {"forecast": interrupt("which day?")}).invoke({"city": "Oslo"}, config)

async def node(state):
    return {"forecast": await weather.ainvoke({"city": state["city"]})}

asyncio.run(graph(node).ainvoke({"city": "Bergen"}, config))
"""


class LangChainTest(ExtraTest):
    def test_runs_and_calls_of_tools_are_reported(self) -> None:
        ran = self.run_snippet("langgraph.md")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(ran.stderr, "")
        by_pool = {entry["dispatch_info"]["agent_pool"]: entry for entry in self.entries(2)}
        graph, tool = by_pool["graph"], by_pool["tool"]
        self.assertEqual((graph["status"], graph["plan_id"]), ("completed", "thread-7"))
        self.assertEqual(graph["execution_result"]["outcome"]["values"], {"city": "Oslo", "forecast": "rain in Oslo"})
        self.assertEqual((tool["status"], tool["plan_id"]), ("completed", graph["metadata"]["source_id"]))
        self.assertEqual(tool["execution_result"]["services_touched"], ["weather"])
        self.assertEqual(tool["execution_result"]["outcome"]["values"], "rain in Oslo")

    def test_failures_interrupts_and_coroutines_are_reported(self) -> None:
        self.run_snippet("langgraph.md")
        ran = self.run_python("-c", MORE, "thread-8")
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))
        # The module of the snippet ran twice: 2 entries each.
        entries = [entry for entry in self.entries(9)]
        runs = [entry for entry in entries if entry["plan_id"] == "thread-8"]
        self.assertEqual(sorted(run["status"] for run in runs), ["cancelled", "completed", "failed"])
        plans = {run["metadata"]["source_id"]: run for run in runs}
        tools = {entry["execution_result"]["services_touched"][0]: entry for entry in entries if entry["plan_id"] in plans}
        self.assertEqual({name: entry["status"] for name, entry in tools.items()}, {"broken": "failed", "weather": "completed"})
        self.assertEqual(tools["broken"]["execution_result"]["outcome"]["error"], "LookupError: Oslo")


if __name__ == "__main__":
    unittest.main()
