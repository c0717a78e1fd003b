"""Report task outcomes to Chiffon Audit, and lose none while the service is away."""

from ._client import AsyncClient, Client
from ._errors import AuditError, Refused, Unavailable
from ._receipt import Drained, Receipt
from ._task import Task

__all__ = ["AsyncClient", "AuditError", "Client", "Drained", "Receipt", "Refused", "Task", "Unavailable"]
