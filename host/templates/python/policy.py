"""The policy: what an entry says, and what counts as the same. This is the file to edit.

Pure: for the same arguments the same answer. Everything that touches the trail is in app.py.
"""

import json_text


def entry(outcome, now, settings):
    """The entry of an outcome that is recorded at `now`: a dict in the order in which it is written; or a list of violations,
    each a JSON pointer and what is wrong there.

    Raise `answers.Unavailable` where the outcome cannot be recorded now. What is printed goes to the operator's log.

    `outcome` is a dict of the outcome's members; JSON of any form in it is a `json_text.Json`, its numbers as they were written.
    `settings(key)` is a setting of the operator's, or None. The host requires `task_id`, `status` and `timestamp` to be the outcome's
    and `now`. Called on its own entry, at that entry's time, it must make the same bytes again.
    """
    violations = []
    # A rule as an example: the setting `require_plan=true` turns down what belongs to no plan.
    if settings("require_plan") == "true" and outcome["plan_id"] is None:
        violations.append(("/plan_id", "must be given"))
    if violations:
        return violations
    return {**outcome, "timestamp": now}


def same(entry, existing):
    """Whether the entry that the trail holds for this task says the same as the one that would be made now. Both are text."""
    return json_text.same(entry, existing, but_for="timestamp")
