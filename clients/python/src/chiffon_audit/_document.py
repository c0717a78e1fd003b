"""Outcome documents from Python values."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import uuid
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any


def plain(value: Any) -> Any:
    """JSON for what JSON has no form for."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, (uuid.UUID, PurePath)):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode(errors="replace")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, BaseException):
        return error_text(value)
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__} without a repr: {type(error).__name__}>"


def error_text(error: BaseException) -> str:
    """The exception on one line, such as `ValueError: no such host`."""
    return f"{type(error).__name__}: {error}"


def encode(outcome: Mapping[str, Any]) -> bytes:
    """The document on one line. Non-ASCII text is escaped, so that half a surrogate pair can be sent."""
    try:
        text = json.dumps(outcome, default=plain, separators=(",", ":"))
    except (TypeError, ValueError):
        # Keys that are no texts, or a value that contains itself.
        text = json.dumps(_without_cycles(outcome, ()), default=plain, separators=(",", ":"))
    return text.encode("ascii")


def _without_cycles(value: Any, outer: tuple[int, ...]) -> Any:
    if id(value) in outer:
        return "<contains itself>"
    inner = (*outer, id(value))
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(key): _without_cycles(of, inner) for key, of in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_cycles(of, inner) for of in value]
    return value
