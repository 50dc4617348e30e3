"""An orderly end: a request under way is answered, a training ends between two statements, nothing runs on alone.

Every file that matters is written beside its place and renamed, so even a process that is killed leaves none half
written; what is here keeps it from leaving the neighbours behind, and a stopped server from waiting for a training.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

import psutil
from monailabel.utils.async_tasks.utils import background_executors, background_processes

from . import privacy

SIGNALS = (signal.SIGTERM, signal.SIGINT)
TOLD = b"Told to stop: a request under way is answered first; told again, this ends at once.\n"


def end_before_the_start(fault: Exception) -> NoReturn:
    """End in the fault's own words; the server, which calls the app, would end in a page of its own code."""
    sys.stdout.flush()
    print(f"Not served: {fault}", file=sys.stderr, flush=True)
    privacy.forget()
    os._exit(1)


def stop_children_too() -> None:
    """Let the server, when it is stopped, stop its trainings and batches first and start none of those that wait.

    MONAI Label 0.8.5 would wait for them, however long they take. A second signal ends the server at once, also while
    a request is under way.
    """
    told: list[int] = []
    for number in SIGNALS:
        signal.signal(number, _stopping_children(signal.getsignal(number), told))


def _stopping_children(before: Any, told: list[int]) -> Any:
    def handle(number: int, frame: FrameType | None) -> None:
        told.append(number)
        if len(told) > 1:
            _end_now(number)
        os.write(2, TOLD)  # whatever else was being written
        for executor in background_executors.values():
            executor.shutdown(wait=False, cancel_futures=True)
        for process in [child for children in background_processes.values() for child in children.values()]:
            process.terminate()
        if callable(before):
            # uvicorn answers what is under way and then raises the signal again, of which SIGTERM would end the process
            # before it has cleaned up
            before(signal.SIGINT, frame)

    return handle


def _end_now(number: int) -> None:
    for child in psutil.Process().children(recursive=True):
        child.kill()
    privacy.forget()
    os._exit(128 + number)


def leave_in_order() -> None:
    """Let this process, when it is told to end, clean up behind itself as it does after an error."""
    for number in SIGNALS:
        signal.signal(number, lambda number, frame: sys.exit(128 + number))
