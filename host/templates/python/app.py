"""Performs what policy.py decides: reads the task's entry, stages a new one, asks for its commit. There is no need to edit it."""

from datetime import datetime, timedelta

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.recorder import (
    Receipt,
    RecordError_Conflicting,
    RecordError_Refused,
    RecordError_Unavailable,
    Violation,
)
from wit_world.imports import clock, config, filesystem, git, types

import console
import json_text
import policy
from answers import Unavailable
from json_text import Json

console.redirect()


class Recorder(exports.Recorder):
    def commit_task_outcome(self, outcome):
        try:
            receipt = self.decide(outcome)
        except Err:
            console.finish()
            raise
        except Unavailable as error:
            console.finish()
            raise Err(RecordError_Unavailable(str(error) or "the policy does not say why"))
        except Exception as error:
            # The call fails, and the host tells the last line of what is logged here.
            console.report(error)
            raise
        console.finish()
        return receipt

    def decide(self, outcome):
        path = f".audit/tasks/{outcome.task_id}.json"
        try:
            existing = filesystem.read(path)
        except Err as error:
            raise unavailable("could not read the task's entry", error.value)
        now = timestamp()
        outcome = view(outcome)
        made = policy.entry(outcome, now, config.get)
        if isinstance(made, list):
            raise Err(RecordError_Refused([Violation(pointer, message) for pointer, message in made]))
        entry = json_text.format(made)
        if existing is not None:
            if says_the_same(entry, existing):
                return Receipt.ALREADY_RECORDED
            raise Err(RecordError_Conflicting(conflict(entry, existing)))
        try:
            filesystem.write_new(path, entry.encode())
        except Err as error:
            if isinstance(error.value, filesystem.FileError_TooLarge):
                message = f"the entry would be larger than the limit of {error.value.value} bytes"
                raise Err(RecordError_Refused([Violation("", message)]))
            raise unavailable("could not stage the task's entry", error.value)
        try:
            git.commit(f"audit: task {outcome['task_id']} {outcome['status']} at {now}")
        except Err as error:
            raise unavailable("could not ask for the commit", error.value)
        return Receipt.COMMITTED


def conflict(entry, existing):
    """Names where two entries differ, apart from the time of recording, and quotes no value of either."""
    try:
        places = json_text.differences(entry, existing.decode(), but_for="timestamp")
    except (ValueError, RecursionError):
        return "the task's entry on the trail is not a JSON object"
    where = "differs in " + ", ".join(places) if places else "says something else"
    return (
        f"the task has an entry that {where}; a task that is tried again is a task of its own "
        "(such as `deploy-42.2` with `metadata.attempt_of`)"
    )


def says_the_same(entry, existing):
    try:
        return policy.same(entry, existing.decode())
    except UnicodeDecodeError:
        return False


def timestamp():
    """The time of recording: RFC 3339, UTC, six fractional digits and `Z`."""
    now = clock.now()
    try:
        time = datetime(1970, 1, 1) + timedelta(seconds=now.seconds, microseconds=now.nanoseconds // 1000)
    except OverflowError:
        raise Err(RecordError_Unavailable("the clock shows a time that cannot be written"))
    return time.isoformat(timespec="microseconds") + "Z"


def view(outcome):
    """The outcome as a dict, in the order of an entry's members."""
    dispatch, result = outcome.dispatch_info, outcome.execution_result
    members = {
        "task_id": outcome.task_id,
        "status": status(outcome.status),
        "plan_id": outcome.plan_id,
        "plan_steps": outcome.plan_steps,
        "dispatch_info": {
            "agent_pool": dispatch.agent_pool,
            "agent_id": dispatch.agent_id,
            "dispatch_timestamp": dispatch.dispatch_timestamp,
        },
        "execution_result": {
            "outcome": Json(result.outcome),
            "resources_used": Json(result.resources_used),
            "services_touched": result.services_touched,
            "start_time": result.start_time,
            "end_time": result.end_time,
        },
    }
    if outcome.metadata is not None:
        members["metadata"] = Json(outcome.metadata)
    return members


def status(status):
    if isinstance(status, types.TaskStatus_Other):
        return status.value
    return type(status).__name__.removeprefix("TaskStatus_").lower()


def unavailable(what, error):
    cause = getattr(error, "value", None) or type(error).__name__
    return Err(RecordError_Unavailable(f"{what}: {cause}"))
