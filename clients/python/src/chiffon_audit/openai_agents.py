"""Records the spans of the OpenAI Agents SDK: agents, calls of models and tools, handoffs, guardrails.

    from agents import add_trace_processor
    from chiffon_audit.openai_agents import AuditProcessor
    add_trace_processor(AuditProcessor())
"""

from __future__ import annotations

from typing import Any

from agents.tracing import Span, Trace, TracingProcessor

from ._client import Client
from ._finished_task import FinishedTask
from ._reporter import Reporter, logs_exceptions


class AuditProcessor(TracingProcessor):
    """Reports each span as a task whose plan is its trace."""

    def __init__(self, client: Client | None = None) -> None:
        self._reporter = Reporter(client)

    def on_trace_start(self, trace: Trace) -> None:
        """Does nothing: a trace is the plan of its spans."""

    def on_trace_end(self, trace: Trace) -> None:
        """Does nothing: a trace is the plan of its spans."""

    def on_span_start(self, span: Span[Any]) -> None:
        """Does nothing: a span is reported when it ends."""

    @logs_exceptions
    def on_span_end(self, span: Span[Any]) -> None:
        """Reports the span. An error makes it failed."""
        exported = span.export()
        if not exported:
            return
        data = exported.get("span_data") or {}
        error = exported.get("error")
        self._reporter.report(
            FinishedTask(
                source="openai-agents",
                source_id=f"{exported['trace_id']}/{exported['id']}",
                status="failed" if error else "completed",
                native_state="error" if error else "ended",
                plan_id=exported["trace_id"],
                agent_pool=data.get("type"),
                agent_id=data.get("name"),
                output={"error": error, "span_data": data},
                # As the service's map does it, so that exported spans are the same outcomes.
                resources=(None if error else data.get("usage")) or {},
                services=data.get("tools") or (),
                start=exported.get("started_at"),
                end=exported.get("ended_at"),
                metadata={"parent_id": exported.get("parent_id")},
            )
        )

    def force_flush(self) -> None:
        """Sends what waits. The rest stays in the spool."""
        self._reporter.flush()

    def shutdown(self) -> None:
        """Sends what waits."""
        self.force_flush()
