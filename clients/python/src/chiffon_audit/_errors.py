"""What can go wrong, by what the caller should do about it."""

from __future__ import annotations


class AuditError(Exception):
    """The outcome was not accepted."""


class Refused(AuditError):
    """The service refuses the outcome. Sending it again cannot help."""


class Unavailable(AuditError):
    """The service cannot accept the outcome now, and it could not be spooled. Send it again."""
