"""Report task outcomes to Chiffon Audit, and lose none while the service is away."""

from ._async_client import AsyncClient
from ._client import Client
from ._errors import AuditError, Refused, Unavailable
from ._ids import task_id
from ._receipt import Drained, Receipt
from ._task import Task

__all__ = ["AsyncClient", "AuditError", "Client", "Drained", "Receipt", "Refused", "Task", "Unavailable", "task_id"]
