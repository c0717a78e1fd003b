"""Reports what another system has finished. Used by the modules for those systems, whose tasks it must never disturb."""

from __future__ import annotations

import atexit
import dataclasses
import datetime
import functools
import logging
import math
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ParamSpec

from ._client import Client
from ._document import line
from ._ids import task_id

logger = logging.getLogger("chiffon_audit")

# How long the thread waits before it asks a service again that was away, in seconds.
DRAIN_EVERY = 5.0
# Of one document, in bytes: the service takes no request beyond 16 MiB.
MAX_DOCUMENT = 8 << 20
# The service refuses documents that are nested deeper than 64; the output is inside of three objects.
MAX_DEPTH = 50


@dataclasses.dataclass(frozen=True)
class Ended:
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
        """The outcome document."""
        output = tidy(self.output)
        output = dict(output) if isinstance(output, Mapping) else {"output": output}
        result = {
            "outcome": {**some(output), "native_state": self.native_state},
            "resources_used": some(tidy(self.resources)),
            "services_touched": [str(service) for service in self.services],
            "start_time": time(self.start),
            "end_time": time(self.end),
        }
        metadata = {**some(tidy(self.metadata)), "source": self.source, "source_id": self.source_id}
        if self.attempt > 1:
            metadata.update(attempt=self.attempt, attempt_of=task_id(self.source, self.source_id))
        dispatch = {"agent_pool": self.agent_pool, "agent_id": self.agent_id, "dispatch_timestamp": time(self.dispatched)}
        return {
            "task_id": task_id(self.source, self.source_id, self.attempt),
            "status": self.status,
            **some({"plan_id": self.plan_id, "dispatch_info": some(dispatch) or None}),
            "execution_result": some(result),
            "metadata": metadata,
        }


def some(members: Mapping[str, Any]) -> dict[str, Any]:
    """The members that have a value."""
    return {name: value for name, value in members.items() if value is not None}


def time(value: Any) -> str | None:
    """A time as text: a number is in seconds since 1970, and a time without a zone is local."""
    if isinstance(value, (int, float)):
        value = datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    return None if value is None else str(value)


def tidy(value: Any, depth: int = 0) -> Any:
    """The value without what the service refuses: numbers that are not finite, and deep nesting."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        if depth >= MAX_DEPTH:
            return "<too deep>"
        return {str(key): tidy(of, depth + 1) for key, of in value.items()}
    if isinstance(value, (list, tuple)):
        return "<too deep>" if depth >= MAX_DEPTH else [tidy(of, depth + 1) for of in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return tidy({field.name: getattr(value, field.name) for field in dataclasses.fields(value)}, depth)
    return value


Arguments = ParamSpec("Arguments")


def quiet(report: Callable[Arguments, None]) -> Callable[Arguments, None]:
    """Logs what the function raises: a task must not fail because of its record."""

    @functools.wraps(report)
    def wrapped(*arguments: Arguments.args, **named: Arguments.kwargs) -> None:
        try:
            report(*arguments, **named)
        except Exception:
            logger.exception("cannot report the end of a task")

    return wrapped


class Reporter:
    """Reports ended tasks through a client. Never raises: what cannot be reported is logged."""

    def __init__(self, client: Client | None = None) -> None:
        self._client = client

    @quiet
    def start(self) -> None:
        """Sends what an earlier process has left in the spool."""
        self._client = self._client or default_client()

    @quiet
    def flush(self) -> None:
        """Sends what is in the spool, before a process ends without notice. What cannot be sent within seconds waits."""
        (self._client or default_client()).flush()

    def report(self, ended: Ended) -> None:
        """Writes the outcome to the spool, from where a thread sends it."""
        try:
            document = ended.document()
            size = len(line(document))
            if size > MAX_DOCUMENT:
                text = repr(document["execution_result"]["outcome"])[:10_000]
                document["execution_result"]["outcome"] = {
                    "native_state": ended.native_state,
                    "left_out": f"the document had {size} bytes, which is more than a request may have",
                    "beginning": text,
                }
            client = self._client or default_client()
            try:
                client.report_later(document)
            except (OSError, ValueError):
                # The disk is full, or there is no spool.
                client.report(document)
        except Exception:
            logger.exception("cannot report that %s of %s ended", ended.source_id, ended.source)


_default: Client | None = None
_default_lock = threading.Lock()


def default_client() -> Client:
    """The client of this process, as the environment says. It always has a spool, if one can be written."""
    global _default
    with _default_lock:
        if _default is None:
            try:
                client = Client(spool=default_spool(), drain_every=DRAIN_EVERY)
            except OSError as error:
                logger.warning("there is no spool, so reports are lost while the service is away: %s", error)
                client = Client(spool="")
            atexit.register(client.close)
            _default = client
        return _default


def default_spool() -> str | Path:
    """The directory of the spool: `CHIFFON_AUDIT_SPOOL`, or one of the user."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return os.environ.get("CHIFFON_AUDIT_SPOOL") or Path(state) / "chiffon-audit" / "spool"
