"""How the clients are set up."""

from __future__ import annotations

import os
from dataclasses import dataclass


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
            spool=(environment.get("CHIFFON_AUDIT_SPOOL") if spool is None else spool) or None,
            attempts=max(1, attempts),
            timeout=timeout,
        )

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}
