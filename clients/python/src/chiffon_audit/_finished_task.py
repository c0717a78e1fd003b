"""The outcome document of a task that another system has finished. No input or output."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from ._document import encode
from ._ids import task_id
from ._time import timestamp

# Of one document, in bytes: the service takes no request beyond 16 MiB.
MAX_DOCUMENT = 8 << 20
# Of each part of a document that is larger, in bytes. The three parts that can be large then fit together.
MAX_PART = 1 << 20
# How much of a part that is left out is kept, in characters.
BEGINNING = 10_000
# The service refuses documents that are nested deeper than 64; the output is inside of three objects.
MAX_DEPTH = 50


@dataclasses.dataclass(frozen=True)
class FinishedTask:
    """A task of another system that has ended. `source` and `source_id` name it as the service's map for that system does."""

    source: str
    source_id: str
    status: str
    native_state: str
    attempt: int = 1
    plan_id: str | None = None
    agent_pool: str | None = None
    agent_id: str | None = None
    dispatched: Any = None
    output: Any = None
    resources: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    services: Iterable[str] = ()
    start: Any = None
    end: Any = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The outcome document. Parts that make it larger than a request may be are left out and named."""
        document = self._whole_document()
        size = len(encode(document))
        if size > MAX_DOCUMENT:
            result = document["execution_result"]
            result["outcome"] = _shortened(result["outcome"], size, ("native_state",))
            result["resources_used"] = _shortened(result["resources_used"], size, ())
            document["metadata"] = _shortened(document["metadata"], size, ("source", "source_id", "attempt", "attempt_of"))
        return document

    def _whole_document(self) -> dict[str, Any]:
        output = cleaned(self.output)
        output = dict(output) if isinstance(output, Mapping) else {"output": output}
        result = {
            "outcome": {**present(output), "native_state": self.native_state},
            "resources_used": present(cleaned(self.resources)),
            "services_touched": [str(service) for service in self.services],
            "start_time": timestamp(self.start),
            "end_time": timestamp(self.end),
        }
        metadata = {**present(cleaned(self.metadata)), "source": self.source, "source_id": self.source_id}
        if self.attempt != 1:
            metadata.update(attempt=self.attempt, attempt_of=task_id(self.source, self.source_id))
        dispatch = {
            "agent_pool": self.agent_pool,
            "agent_id": self.agent_id,
            "dispatch_timestamp": timestamp(self.dispatched),
        }
        return {
            "task_id": task_id(self.source, self.source_id, self.attempt),
            "status": self.status,
            **present({"plan_id": self.plan_id, "dispatch_info": present(dispatch) or None}),
            "execution_result": present(result),
            "metadata": metadata,
        }


def present(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}


def cleaned(value: Any, depth: int = 0) -> Any:
    """The value without what the service refuses: numbers that are not finite, and deep nesting."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        if depth >= MAX_DEPTH:
            return "<too deep>"
        return {str(key): cleaned(of, depth + 1) for key, of in value.items()}
    if isinstance(value, (list, tuple)):
        return "<too deep>" if depth >= MAX_DEPTH else [cleaned(of, depth + 1) for of in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return cleaned({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}, depth)
    return value


def _shortened(part: dict[str, Any], size: int, kept: Iterable[str]) -> dict[str, Any]:
    """A part of a document of this many bytes. If it is large, only the members `kept` and its beginning are left."""
    text = encode(part)
    if len(text) <= MAX_PART:
        return part
    return {
        **{name: part[name] for name in kept if name in part},
        "left_out": f"the document had {size} bytes, which is more than a request may have",
        "beginning": text[:BEGINNING].decode("ascii"),
    }
