"""What is sent and how answers are read, the same for both clients. No input or output."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ._errors import Refused, Unavailable
from ._receipt import Receipt

NDJSON = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}

# Limits of one request, far below those of the service.
BATCH_LINES = 500
BATCH_BYTES = 4 << 20

# Statuses with which the service judges the document. Any other status is about the network, the token or the service.
ABOUT_THE_DOCUMENT = frozenset({400, 413, 415, 422})
PROBLEM = "urn:chiffon-audit:problem:"

# With `wait`, the service answers after 30 seconds at the latest.
LONGEST_WAIT_SECONDS = 40.0


@dataclass(frozen=True)
class Post:
    """A step of a report: send the document, and return the answer. Raises `OSError` if there is none."""

    path: str
    timeout: float


@dataclass(frozen=True)
class Append:
    """A step of a report: add the document to the spool. Raises `OSError` if that fails."""

    begins_pause: bool


@dataclass(frozen=True)
class Sleep:
    """A step of a report: wait."""

    seconds: float


@dataclass(frozen=True)
class Answer:
    """An answer to a request."""

    status: int
    body: bytes
    retry_after: str | None


Steps = Generator["Post | Append | Sleep", "Answer | None", Receipt]


def report(outcome: Mapping[str, Any], post: Post, attempts: int, *, has_spool: bool, is_paused: bool) -> Steps:
    """The steps of a report. They are the same for both clients, which take each step and return its result, or throw its `OSError`.

    Raises `Refused` and `Unavailable`.
    """
    if has_spool and is_paused:
        # The service may accept it.
        with contextlib.suppress(OSError):
            yield Append(begins_pause=False)
            return Receipt.in_spool(outcome)
    problem = ""
    for attempt in range(attempts):
        retry_after = None
        try:
            answer = yield post
            assert answer is not None
            receipt = read_receipt(answer.status, answer.body)
            if receipt is not None:
                return receipt
            problem = f"the service answered {answer.status}"
            retry_after = answer.retry_after
        except OSError as error:
            problem = str(error)
        if has_spool:
            try:
                yield Append(begins_pause=True)
                return Receipt.in_spool(outcome)
            except OSError as error:
                problem += f"; the spool cannot be written: {error}"
        if attempt + 1 < attempts:
            yield Sleep(backoff(attempt, retry_after))
    raise Unavailable(problem)


def path(encode_ids: bool, wait: bool) -> str:
    """The path and query for a report."""
    query = [name for name, wanted in (("ids=encode", encode_ids), ("wait=committed", wait)) if wanted]
    return "/api/v1/outcomes" + ("?" + "&".join(query) if query else "")


def timeout(usual: float, wait: bool) -> float:
    """How long an answer may take, in seconds."""
    return max(usual, LONGEST_WAIT_SECONDS) if wait else usual


def backoff(attempt: int, retry_after: str | None) -> float:
    """How long to wait before the next attempt, in seconds: doubled each time, with a random part, at most half a minute."""
    if retry_after and retry_after.isdigit():
        return min(float(retry_after), 30.0)
    longest: float = min(30.0, 0.1 * 2.0**attempt)
    return longest * random.uniform(0.5, 1.0)


def read_receipt(status: int, body: bytes) -> Receipt | None:
    """The receipt; `None` if the same request may succeed later. Raises `Refused`."""
    answer = parse(body)
    if status in (200, 202):
        # Another program on this port, such as a proxy, also answers 200.
        return Receipt.of(answer) if is_taken(answer) else None
    if status == 409 and ("receipt" in answer or "task_id" in answer or is_problem(answer)):
        # It is kept as a conflict, for a person to look at: nothing is lost.
        return Receipt.of(answer.get("receipt") or {**answer, "accepted": True, "state": "conflicting"})
    if status in ABOUT_THE_DOCUMENT and is_problem(answer):
        raise Refused(reason(status, answer))
    return None


def parse(body: bytes) -> Mapping[str, Any]:
    """The members of an answer; none if it is no JSON object."""
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    return answer if isinstance(answer, Mapping) else {}


def is_taken(answer: Mapping[str, Any]) -> bool:
    """Whether the service has accepted the document, or says that there is nothing to record."""
    return answer.get("accepted") is True or isinstance(answer.get("result"), str)


def is_problem(answer: Mapping[str, Any]) -> bool:
    """Whether the service itself says so. A proxy on the way answers in other words."""
    return str(answer.get("type", "")).startswith(PROBLEM)


def reason(status: int, answer: Mapping[str, Any]) -> str:
    """Why the service refuses a document, as one sentence."""
    errors = [f"{error.get('pointer')}: {error.get('detail')}" for error in answer.get("errors", [])]
    return answer.get("detail") or "; ".join(errors) or answer.get("title") or f"the service answered {status}"


def batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines in batches of a useful size."""
    batch: list[bytes] = []
    size = 0
    for line in lines:
        if batch and (len(batch) >= BATCH_LINES or size + len(line) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 1
    if batch:
        yield batch


@dataclass
class BatchResult:
    """What happened to a batch. `is_answered` is whether the service has answered for at least one document."""

    accepted: int = 0
    refused: list[tuple[bytes, object]] = field(default_factory=list)
    waiting: list[bytes] = field(default_factory=list)
    is_answered: bool = True


def is_refused_as_a_whole(lines: list[bytes], status: int, body: bytes) -> bool:
    """Whether the service refuses the request as a whole, so that the documents must be sent in smaller batches."""
    return len(lines) > 1 and status in ABOUT_THE_DOCUMENT and is_problem(parse(body))


def read_batch(lines: list[bytes], status: int, body: bytes) -> BatchResult:
    """Reads the answer to a batch, one line for each document. A document without an answer waits."""
    if status not in (200, 202, 207):
        problem = parse(body)
        if len(lines) == 1 and status in ABOUT_THE_DOCUMENT and is_problem(problem):
            return BatchResult(refused=[(lines[0], problem)])
        return BatchResult(waiting=list(lines), is_answered=False)
    answers = {answer["line"]: answer for answer in map(parse, body.splitlines()) if "line" in answer}
    found = BatchResult(is_answered=bool(answers))
    for number, line in enumerate(lines, start=1):
        answer = answers.get(number, {})
        code = answer.get("code")
        if code == 409 or (code in (200, 202) and is_taken(answer)):
            found.accepted += 1
        elif code in ABOUT_THE_DOCUMENT:
            found.refused.append((line, answer))
        else:
            found.waiting.append(line)
    return found
