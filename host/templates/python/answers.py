"""Answers of a policy other than an entry or violations. There is no need to edit it."""


class Unavailable(Exception):
    """Raised by `policy.entry`: the outcome cannot be recorded now, and submitting it again may help. For example, a setting makes no
    sense. The text says why."""
