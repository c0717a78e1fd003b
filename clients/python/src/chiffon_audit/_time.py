"""Times, and their text in outcome documents."""

from __future__ import annotations

import datetime
from typing import Any


def now() -> datetime.datetime:
    """The current time, in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


def timestamp(value: Any) -> str | None:
    """A time as text: a number is in seconds since 1970, and a time without a zone is local. Text stays as it is."""
    if isinstance(value, (int, float)):
        value = datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat().replace("+00:00", "Z")
    return None if value is None else str(value)
