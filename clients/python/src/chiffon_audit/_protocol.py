"""What is sent and how answers are read, the same for both clients. No input or output."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._errors import Refused
from ._receipt import Receipt

NDJSON = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}

# Of one request: far below what the service takes at once.
BATCH_LINES = 500
BATCH_BYTES = 4 << 20

# What may pass: too slow, too many, and everything that is the server's own trouble.
TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Settings:
    """How to reach the service. What is not given comes from the environment."""

    url: str
    token: str | None
    spool: str | os.PathLike[str] | None
    attempts: int
    timeout: float

    @classmethod
    def of(
        cls,
        url: str | None,
        token: str | None,
        spool: str | os.PathLike[str] | None,
        attempts: int,
        timeout: float,
    ) -> Settings:
        environment = os.environ
        return cls(
            url=(url or environment.get("CHIFFON_AUDIT_URL") or "http://127.0.0.1:8787").rstrip("/"),
            token=token or environment.get("CHIFFON_AUDIT_TOKEN"),
            spool=spool or environment.get("CHIFFON_AUDIT_SPOOL"),
            attempts=max(1, attempts),
            timeout=timeout,
        )

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


def path(encode_ids: bool, wait: bool) -> str:
    """The path and query for a report."""
    query = [name for name, wanted in (("ids=encode", encode_ids), ("wait=committed", wait)) if wanted]
    return "/api/v1/outcomes" + ("?" + "&".join(query) if query else "")


def backoff(attempt: int, retry_after: str | None) -> float:
    """How long to wait before the next attempt, in seconds: doubled each time, with a random part, at most half a minute."""
    if retry_after and retry_after.isdigit():
        return min(float(retry_after), 30.0)
    return min(30.0, 0.1 * 2**attempt) * random.uniform(0.5, 1.0)


def read(status: int, body: bytes) -> Receipt | None:
    """The receipt; `None` if the same request may succeed later. Raises `Refused`."""
    if status in TEMPORARY:
        return None
    try:
        answer = json.loads(body)
    except ValueError:
        answer = {}
    if status in (200, 202) and isinstance(answer, Mapping):
        return Receipt.of(answer)
    if status == 409 and isinstance(answer, Mapping):
        # It is kept as a conflict, for a person to look at: nothing is lost.
        return Receipt.of(answer.get("receipt") or {**answer, "accepted": True, "state": "conflicting"})
    raise Refused(reason(status, answer))


def reason(status: int, answer: Any) -> str:
    """Why the service refuses a document, as one sentence."""
    if not isinstance(answer, Mapping):
        return f"the service answered {status}"
    errors = [f"{error.get('pointer')}: {error.get('detail')}" for error in answer.get("errors", [])]
    return answer.get("detail") or "; ".join(errors) or answer.get("title") or f"the service answered {status}"


def batches(lines: list[bytes]) -> list[list[bytes]]:
    """The lines in groups of a useful size."""
    found: list[list[bytes]] = []
    size = 0
    for line in lines:
        if not found or len(found[-1]) >= BATCH_LINES or size + len(line) > BATCH_BYTES:
            found.append([])
            size = 0
        found[-1].append(line)
        size += len(line) + 1
    return found


@dataclass
class Sorted:
    """What became of a batch."""

    accepted: int
    refused: list[tuple[bytes, object]]
    waiting: list[bytes]


def sort(lines: list[bytes], status: int, body: bytes) -> Sorted:
    """Reads the answer to a batch, one line for each document. What has no answer waits."""
    sorted_ = Sorted(0, [], [])
    answers: list[Mapping[str, Any]] = []
    if status in (200, 202, 207):
        for text in body.splitlines():
            try:
                answers.append(json.loads(text))
            except ValueError:
                break
    elif status not in TEMPORARY and status != 401 and status != 403:
        problem = body.decode(errors="replace")
        # The whole batch is refused, such as by an older service: nothing is known about one document.
        if len(lines) == 1:
            sorted_.refused.append((lines[0], problem))
            return sorted_
    for index, line in enumerate(lines):
        answer = answers[index] if index < len(answers) and answers[index].get("line") == index + 1 else None
        code = answer.get("code") if answer else None
        if answer is None or code in TEMPORARY:
            sorted_.waiting.append(line)
        elif code in (200, 202, 409):
            sorted_.accepted += 1
        else:
            sorted_.refused.append((line, answer))
    return sorted_
