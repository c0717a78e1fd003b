"""The client that the modules for other systems use if they are given none."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from pathlib import Path

from ._client import Client

logger = logging.getLogger("chiffon_audit")

# How long the thread waits before it asks a service again that was away, in seconds.
DRAIN_EVERY = 5.0

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
