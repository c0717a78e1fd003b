"""The outcome document of a task that another system has finished. No input or output."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ._document import encode
from ._ids import task_id
from ._time import timestamp

# Of one document, in bytes: the service takes 16 MiB in one request of several documents.
MAX_REQUEST = 8 << 20
# Of one document, in bytes, after the service has shortened its long texts: the default of the setting `outcome.max_bytes` is 1 MiB.
MAX_DOCUMENT = 1_000_000
# The service shortens longer texts, in characters, and records the digest of the whole.
MAX_TEXT = 16 << 10
# Of each part of a document that is larger, in bytes. The four parts that can be large then fit together.
MAX_PART = 200 << 10
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
        """The outcome document. Parts that make it larger than the service accepts are left out and named."""
        document = self._whole_document()
        size = len(encode(document))
        if size > MAX_REQUEST:
            measure = _size
        elif size > MAX_DOCUMENT and _size_with_short_texts(document) > MAX_DOCUMENT:
            measure = _size_with_short_texts
        else:
            return document
        result = document["execution_result"]
        result["outcome"] = _shortened(result["outcome"], measure, ("native_state",))
        result["resources_used"] = _shortened(result["resources_used"], measure, ())
        metadata = _shortened(document["metadata"], measure, ("source", "source_id", "attempt", "attempt_of"))
        services = _first_that_fit(result["services_touched"])
        if len(services) < len(result["services_touched"]):
            metadata["services_left_out"] = len(result["services_touched"]) - len(services)
        result["services_touched"], document["metadata"] = services, metadata
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


def cleaned(value: Any, outer: tuple[int, ...] = ()) -> Any:
    """The value without what the service refuses: numbers beyond a double, deep nesting, and values that contain themselves."""
    if isinstance(value, (int, float)):
        return value if _is_finite(value) else f"{value:#x}" if isinstance(value, int) else str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if id(value) in outer:
            return "<contains itself>"
        outer = (*outer, id(value))
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if not isinstance(value, (Mapping, list, tuple)):
        return value
    if id(value) in outer:
        return "<contains itself>"
    if len(outer) >= MAX_DEPTH:
        return "<too deep>"
    outer = (*outer, id(value))
    if isinstance(value, Mapping):
        return {str(key): cleaned(of, outer) for key, of in value.items()}
    return [cleaned(of, outer) for of in value]


def _is_finite(number: int | float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _size(value: Any) -> int:
    """How many bytes the value has as JSON."""
    return len(encode(value))


def _size_with_short_texts(value: Any) -> int:
    """About how many bytes of the value are left when the service has shortened its long texts."""
    return _size(_with_short_texts(json.loads(encode(value))))


def _with_short_texts(value: Any) -> Any:
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, dict):
        return {name: _with_short_texts(of) for name, of in value.items()}
    if isinstance(value, list):
        return [_with_short_texts(of) for of in value]
    return value


def _shortened(part: dict[str, Any], measure: Callable[[Any], int], kept: Iterable[str]) -> dict[str, Any]:
    """A part of a document. If it is large, only the members `kept` and its beginning are left."""
    if measure(part) <= MAX_PART:
        return part
    text = encode(part)
    return {
        **{name: part[name] for name in kept if name in part},
        "left_out": f"{len(text)} bytes, which is more than the service accepts",
        "beginning": text[:BEGINNING].decode("ascii"),
    }


def _first_that_fit(texts: list[str]) -> list[str]:
    """The first texts that are not too large together."""
    size = 0
    for count, text in enumerate(texts):
        size += _size(text) + 1
        if size > MAX_PART:
            return texts[:count]
    return texts
