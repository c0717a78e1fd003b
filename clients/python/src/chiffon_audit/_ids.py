"""Task ids for the ids of other systems, encoded as the service's maps do it.

A report from here and a record that a map reads, such as with `ingest --from airflow`, get the same task id.
"""

from __future__ import annotations

import hashlib
import re

MAX_ORIGINAL = 4096

# 160 bits of a SHA-256.
DIGITS = 40
# With the digest it stays below the 128 bytes of a task id.
MAX_SLUG = 80
MAX_ATTEMPT = (1 << 64) - 1

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}", re.ASCII)
_ENCODED = re.compile(r".+-[0-9a-f]{40}", re.ASCII)
# Windows keeps these names for devices, with any extension.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.ASCII)


def task_id(source: str, source_id: str, attempt: int = 1) -> str:
    """The task id for another system's id. An attempt other than the first, 1, has a separate id.

    Raises `ValueError` if the id is empty, longer than 4096 bytes, or holds half a surrogate pair: it does not identify the task any
    more, and the service refuses it, too.
    """
    original = source_id
    if re.search("[\ud800-\udfff]", original):
        raise ValueError("the task's id must not hold a lone surrogate")
    if not original:
        raise ValueError("the task's id must not be empty")
    if len(original.encode()) > MAX_ORIGINAL:
        raise ValueError("the task's id must be at most 4096 bytes long")
    if attempt == 1 and _stays(original):
        return original
    digest = hashlib.sha256()
    for text in (source.encode(), original.encode()):
        digest.update(len(text).to_bytes(8, "big") + text)
    slug = _slug(original)
    if attempt != 1:
        digest.update((8).to_bytes(8, "big") + min(attempt, MAX_ATTEMPT).to_bytes(8, "big"))
        slug += f".{attempt}"
    encoded = f"{slug}-{digest.hexdigest()[:DIGITS]}"
    return f"id-{encoded}" if _DEVICE.fullmatch(encoded) else encoded


def _stays(original: str) -> bool:
    if not _PLAIN.fullmatch(original) or _ENCODED.fullmatch(original):
        return False
    is_reserved = original.startswith("chiffon-audit.") or _DEVICE.fullmatch(original)
    return not is_reserved and ".." not in original and not original.endswith((".", ".lock"))


def _slug(original: str) -> str:
    slug = ""
    for character in original:
        if character.isascii() and character.isalnum():
            slug += character.lower()
        elif slug and not slug.endswith("-"):
            slug += "-"
        if len(slug) >= MAX_SLUG:
            break
    return slug.rstrip("-") or "id"
