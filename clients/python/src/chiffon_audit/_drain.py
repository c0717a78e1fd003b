"""Sends what is in a spool, on request or from a thread in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from . import _protocol as protocol
from ._receipt import Drained
from ._spool import Segment, Spool

logger = logging.getLogger("chiffon_audit")

# One document that the service fails at must not block all others. After two such failures the trouble is the service's.
MAX_FAILURES = 2

Send = Callable[[list[bytes]], "tuple[int, bytes] | None"]


def drain(spool: Spool, send: Send) -> Drained:
    """Sends documents until the spool is empty or the service fails. `send` answers `None` if it cannot be reached.

    A document leaves the spool only once the service has answered for it.
    """
    accepted = refused = failures = 0
    for segment in spool.segments():
        left: list[bytes] = []
        for batch in protocol.batches(segment.lines):
            if failures >= MAX_FAILURES:
                left.extend(batch)
                continue
            found, is_reached = _deliver(batch, send)
            failures = 0 if found.is_answered else failures + 1 if is_reached else MAX_FAILURES
            accepted += found.accepted
            if found.refused:
                if _set_aside(segment, found.refused):
                    refused += len(found.refused)
                else:
                    left.extend(line for line, _ in found.refused)
            left.extend(found.waiting)
        try:
            segment.replace_lines(left)
        except OSError as error:
            # The segment stays whole. What was accepted is sent again, which changes nothing.
            logger.warning("cannot remove accepted outcomes from the spool: %s", error)
        if failures >= MAX_FAILURES:
            break
    return Drained(accepted, refused, spool.waiting())


def _deliver(batch: list[bytes], send: Send) -> tuple[protocol.BatchResult, bool]:
    """Sends a batch, in smaller batches if the service refuses it as a whole. Also returns whether the service was reached."""
    answer = send(batch)
    if answer is None:
        return protocol.BatchResult(waiting=batch, is_answered=False), False
    if not protocol.is_refused_as_a_whole(batch, *answer):
        found = protocol.read_batch(batch, *answer)
        if not found.is_answered:
            logger.warning("%d outcomes wait, since the service answered %d without a word on them", len(batch), answer[0])
        return found, True
    middle = len(batch) // 2
    first, is_reached = _deliver(batch[:middle], send)
    if not is_reached:
        first.waiting.extend(batch[middle:])
        return first, False
    second, is_reached = _deliver(batch[middle:], send)
    both = protocol.BatchResult(
        first.accepted + second.accepted,
        first.refused + second.refused,
        first.waiting + second.waiting,
        first.is_answered or second.is_answered,
    )
    return both, is_reached


def _set_aside(segment: Segment, refused: list[tuple[bytes, object]]) -> bool:
    try:
        segment.set_aside(refused)
    except OSError as error:
        logger.warning("cannot set refused outcomes aside: %s", error)
        return False
    logger.warning("%d outcomes were refused; they are in refused/ in the spool, with the reason", len(refused))
    return True


class DrainThread:
    """A thread that drains a spool: when there is something new, and every `interval` seconds while something waits."""

    def __init__(self, spool: Spool, run: Callable[[], Drained], interval: float) -> None:
        self._spool = spool
        self._run = run
        self._interval = interval
        self._is_new = threading.Event()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="chiffon-audit-drain", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Drains soon, unless the service has just failed."""
        self._is_new.set()

    def close(self, timeout: float) -> None:
        """Ends the thread after a last drain, which may take `timeout` seconds."""
        self._is_closed.set()
        self._is_new.set()
        self._thread.join(timeout)

    def _loop(self) -> None:
        while True:
            is_last = self._is_closed.is_set()
            self._is_new.clear()
            waiting = 0
            try:
                if not self._spool.is_empty():
                    waiting = self._run().waiting
            except Exception:
                logger.exception("cannot drain the spool")
            if is_last:
                return
            if waiting:
                # The service is away or busy. More reports are no reason to ask it sooner.
                self._is_closed.wait(self._interval)
            else:
                self._is_new.wait(self._interval)
