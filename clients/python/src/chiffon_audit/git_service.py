"""GitService with the seed's name and answers, over the program chiffon-audit. Standard library only."""

import asyncio
import enum
import json
import logging

logger = logging.getLogger(__name__)
FIELDS = ("task_id", "status", "plan_id", "plan_steps", "dispatch_info", "execution_result", "metadata")


class GitServiceError(Exception):
    """The outcome was not recorded. `retry` says whether submitting it again, unchanged, may help."""

    def __init__(self, reason, retry=False):
        super().__init__(reason)
        self.retry = retry


class GitService:
    def __init__(self, repo_path=".", program="chiffon-audit"):
        self.command = (program, "-C", str(repo_path), "commit", "-", "--json")

    async def commit_task_outcome(self, task):
        """True: recorded, durable. False: recorded before, or no repository here (a warning is logged)."""
        document = {field: getattr(task, field, None) for field in FIELDS}
        try:
            text = json.dumps(document, default=plain, allow_nan=False)
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(*self.command, stdin=pipe, stdout=pipe, stderr=pipe)
            out, err = await process.communicate(text.encode())
        except (TypeError, ValueError, OSError) as error:
            raise GitServiceError(f"cannot submit task {document['task_id']}: {error}") from error
        try:
            answer = json.loads(out)
            result, cause, reason, retry = (answer[key] for key in ("result", "cause", "reason", "retry"))
        except (ValueError, KeyError):
            raise GitServiceError(f"no answer from chiffon-audit: {(err or out).decode(errors='replace')}") from None
        if result in ("committed", "already-recorded"):
            return result == "committed"
        if cause == "no-repository":
            logger.warning("task %s is not recorded: %s", document["task_id"], reason)
            return False
        logger.error("task %s is not recorded: %s: %s", document["task_id"], result, reason)
        raise GitServiceError(f"{result}: {reason}", retry)


def plain(value):
    """What JSON has no form for, as orchestrators hold it: enums, times, UUIDs."""
    if isinstance(value, enum.Enum):
        return value.value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if type(value).__name__ == "UUID":
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
