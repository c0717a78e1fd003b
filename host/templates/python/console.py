"""Sends what a policy prints to the operator's log, and says where a policy failed. There is no need to edit it."""

# A component has no files, so these must be loaded while it is built: Python loads them late, when something fails or a digest is made.
import hashlib
import hmac
import linecache
import sys
import traceback

from wit_world.imports import log

# A longer trace says no more: the host cuts a line, and keeps so many.
DEEPEST = 40


class Console:
    """A standard output whose lines are lines of the log."""

    encoding = "utf-8"

    def __init__(self, level):
        self.level = level
        self.rest = ""

    def write(self, text):
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            log.write(self.level, line)
        return len(text)

    def flush(self):
        if self.rest:
            self.write("\n")

    def isatty(self):
        return False


def redirect():
    """Makes `print` write to the log."""
    sys.stdout = Console(log.Level.INFO)
    sys.stderr = Console(log.Level.WARN)


def finish():
    """Writes lines that have no end yet."""
    sys.stdout.flush()
    sys.stderr.flush()


def report(error):
    """Logs where an exception was raised. The last line is what the caller is told."""
    finish()
    place = "an unknown place"
    step = error.__traceback__
    for _ in range(DEEPEST):
        if step is None:
            break
        code = step.tb_frame.f_code
        # The file as the author knows it, not the place of the build.
        place = f"{code.co_filename.rsplit('/', 1)[-1]}, line {step.tb_lineno}"
        log.write(log.Level.WARN, f"  {place}, in {code.co_name}")
        step = step.tb_next
    message = str(error)
    what = type(error).__name__ + (f": {message}" if message else "")
    log.write(log.Level.ERROR, f"{what} ({place})")
