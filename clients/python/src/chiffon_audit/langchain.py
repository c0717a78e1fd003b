"""Records the runs of LangChain and LangGraph, and the tools that they call.

    from chiffon_audit.langchain import AuditHandler
    graph.invoke(inputs, config={"callbacks": [AuditHandler()]})
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

try:
    # Only its subclasses learn that a graph was interrupted.
    from langgraph.callbacks import GraphCallbackHandler as CallbackHandler
except ImportError:
    from langchain_core.callbacks import BaseCallbackHandler as CallbackHandler  # type: ignore[assignment]

from ._client import Client
from ._document import error_text
from ._finished_task import FinishedTask
from ._reporter import Reporter, logs_exceptions
from ._time import now


class AuditHandler(CallbackHandler):
    """Reports each outermost run as a task whose plan is the thread, and each call of a tool as a task whose plan is the run."""

    def __init__(self, client: Client | None = None) -> None:
        self._reporter = Reporter(client)
        # Of the runs that have not ended: the facts for their reports.
        self._runs: dict[UUID, dict[str, Any]] = {}
        self._outermost: dict[UUID, UUID] = {}
        self._interrupts: dict[UUID, list[Any]] = {}

    @logs_exceptions
    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: UUID, **more: Any) -> None:
        """Remembers a run. An inner one only leads to its outermost run."""
        parent = more.get("parent_run_id")
        self._outermost[run_id] = run_id if parent is None else self._outermost.get(parent, parent)
        if parent is None:
            metadata = more.get("metadata") or {}
            name = more.get("name") or (serialized or {}).get("name")
            self._begin(run_id, name, "graph", metadata.get("thread_id"), {"tags": more.get("tags") or None})

    @logs_exceptions
    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        """Reports an outermost run."""
        interrupts = self._interrupts.pop(run_id, None)
        if interrupts is not None:
            # A run that was interrupted has ended; the thread continues with another run.
            self._end(run_id, "cancelled", "interrupted", {"values": outputs, "interrupts": interrupts})
        else:
            self._end(run_id, "completed", "success", {"values": outputs})

    @logs_exceptions
    def on_interrupt(self, event: Any) -> None:
        """Remembers why a run was interrupted."""
        self._interrupts[event.run_id] = [getattr(interrupt, "value", interrupt) for interrupt in event.interrupts]

    @logs_exceptions
    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Reports an outermost run."""
        self._fail(run_id, error)

    @logs_exceptions
    def on_tool_start(self, serialized: Any, input_str: str, *, run_id: UUID, **more: Any) -> None:
        """Remembers a call of a tool."""
        parent = more.get("parent_run_id")
        plan = self._outermost.get(parent, parent) if parent else None
        given = more.get("inputs") or input_str
        self._begin(run_id, (serialized or {}).get("name"), "tool", str(plan) if plan else None, {"input": given})

    @logs_exceptions
    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        """Reports a call of a tool."""
        failed = getattr(output, "status", None) == "error"
        said = {"values": getattr(output, "content", output)}
        self._end(run_id, "failed" if failed else "completed", "error" if failed else "success", said)

    @logs_exceptions
    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        """Reports a call of a tool."""
        self._fail(run_id, error)

    def _begin(self, run_id: UUID, name: Any, kind: str, plan: Any, metadata: dict[str, Any]) -> None:
        self._runs[run_id] = {
            "plan_id": None if plan is None else str(plan),
            "agent_pool": kind,
            "agent_id": None if name is None else str(name),
            "services": [str(name)] if kind == "tool" and name else [],
            "start": now(),
            "metadata": metadata,
        }

    def _fail(self, run_id: UUID, error: BaseException) -> None:
        if type(error).__name__ in ("CancelledError", "KeyboardInterrupt", "GraphInterrupt"):
            self._end(run_id, "cancelled", "interrupted", {"error": error_text(error)})
        else:
            self._end(run_id, "failed", "error", {"error": error_text(error)})

    def _end(self, run_id: UUID, status: str, native_state: str, output: dict[str, Any]) -> None:
        self._outermost.pop(run_id, None)
        facts = self._runs.pop(run_id, None)
        if facts is not None:
            end = now()
            task = FinishedTask("langgraph", str(run_id), status, native_state, output=output, end=end, **facts)
            self._reporter.report(task)
