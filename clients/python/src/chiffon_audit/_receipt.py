"""The answers about outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Receipt:
    """What happened to one outcome.

    `accepted`: it is durable in the service's store, and will be committed. `spooled`: it is durable in the spool of this machine,
    and `drain` will send it. One of the two is true.
    """

    task_id: str | None
    accepted: bool
    spooled: bool = False
    state: str | None = None
    repeated: bool = False
    commit: str | None = None
    answer: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def in_spool(cls, outcome: Mapping[str, Any]) -> Receipt:
        """The receipt for an outcome that is in the spool."""
        return cls(task_id=outcome.get("task_id"), accepted=False, spooled=True, state="spooled")

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Receipt:
        """The receipt in an answer of the service."""
        return cls(
            task_id=answer.get("task_id"),
            accepted=answer.get("accepted") is True or "result" in answer,
            state=answer.get("state") or answer.get("result"),
            repeated=bool(answer.get("repeated")),
            commit=answer.get("commit"),
            answer=answer,
        )


@dataclass(frozen=True)
class Drained:
    """What `drain` did. `waiting` is what is still in the spool."""

    accepted: int = 0
    refused: int = 0
    waiting: int = 0
