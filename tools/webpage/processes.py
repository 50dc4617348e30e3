"""Work that may crash, hang or fill the memory, in processes that can be ended at any moment.

Processes are forked from one that has read the libraries and nothing else, so each begins at once and shares no state.
What comes back is JSON: nothing that a broken process sends is executed.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from transmodal.errors import InputError

__all__ = ["Ended", "Work", "Works"]

LIBRARIES = ["monai.bundle", "monai.engines", "transmodal.transforms", "transmodal.inferers", "matplotlib.figure"]
"""What every process needs and takes seconds to read."""
METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
GRACE = 30.0
"""Seconds that the system gets to end a process that is killed."""
STATUS = threading.Lock()
"""Held where processes are asked how they ended: the system tells it once, so of two threads one would miss it."""
NO_MEMORY = re.compile(r"MemoryError|Unable to allocate|allocate memory|not enough memory|bad_alloc|Failed to allocate")
"""How numpy, torch and ITK say it, also where another error tells of theirs."""


class Ended(Exception):
    """A process that ended without an answer: killed, crashed or out of time."""


class Work:
    """A call of a function in a process of its own.

    Args:
        function: ``module:name`` of it; read in that process alone.
        arguments: that JSON can hold.
        scratch: folder for its temporary files.
        memory: bytes that it may take, where the system can limit them; 0 for as many as there are.
    """

    def __init__(self, function: str, arguments: dict[str, Any], scratch: Path, memory: int = 0) -> None:
        context: Any = multiprocessing.get_context(METHOD)
        context.set_forkserver_preload(LIBRARIES)  # counts for the first process alone
        self._answer, theirs = context.Pipe(duplex=False)
        called = (theirs, function, arguments, str(scratch), memory)
        self._process = context.Process(target=_call, args=called, daemon=True)
        with STATUS:  # to start one asks all others
            self._process.start()
        theirs.close()

    def answer(self, timeout: float | None = None) -> Any:
        """What the function returned; the process is gone afterwards.

        Args:
            timeout: seconds after which it is ended; None for no end.
        Raises:
            InputError: what the function raised.
            Ended: if it ended without an answer, with what is known of the reason.
        """
        try:
            if not wait([self._answer, self._process.sentinel], timeout):
                raise Ended(f"it took more than {timeout:g} seconds")
            told = json.loads(self._answer.recv_bytes()) if self._answer.poll() else None
        except EOFError:
            told = None
        finally:
            self.kill()
        if told is None:
            raise Ended(_reason(self._process.exitcode))
        if "error" in told:
            raise InputError(**told["error"])
        if "fault" in told:
            raise Ended(told["fault"])
        return told["result"]

    def kill(self) -> None:
        """End the process and all that it began, whatever it does."""
        with STATUS:
            runs = self._process.is_alive()
        if runs:
            _kill_group(self._process.pid)
            wait([self._process.sentinel], GRACE)
        with STATUS:
            self._process.join(0)


class Works:
    """Calls that whoever asks for them waits for, and that can all be ended."""

    def __init__(self) -> None:
        self._running: set[Work] = set()
        self._closed = False
        self._lock = threading.Lock()

    def answer(
        self, function: str, arguments: dict[str, Any], scratch: Path, memory: int = 0, timeout: float | None = None
    ) -> Any:
        """What a function returns; as :class:`Work` and its :meth:`~Work.answer`."""
        work = Work(function, arguments, scratch, memory)
        with self._lock:
            self._running.add(work)
            closed = self._closed
        try:
            if closed:
                work.kill()
            return work.answer(timeout)
        finally:
            with self._lock:
                self._running.remove(work)

    def close(self) -> None:
        """End all, also those that are asked for later."""
        with self._lock:
            self._closed, running = True, [*self._running]
        for work in running:
            work.kill()


def _kill_group(pid: int) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):  # it may have no group of its own yet
            os.killpg(pid, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)


def _reason(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        return f"its process was ended by {name}" + (": the memory may be full" if name == "SIGKILL" else "")
    return f"its process ended with status {exitcode}"


def _call(answer: Connection, function: str, arguments: dict[str, Any], scratch: str, memory: int) -> None:
    """In the new process: call the function, and send what it returns or raises."""
    _settle(scratch, memory)
    module, _, name = function.partition(":")
    try:
        told: dict[str, Any] = {"result": getattr(importlib.import_module(module), name)(**arguments)}
    except BaseException as error:
        told = _told(error, memory)
    answer.send_bytes(json.dumps(told, default=str).encode())
    answer.close()


def _told(error: BaseException, memory: int) -> dict[str, Any]:
    """An error as it is sent."""
    if memory and _lacks_memory(error):
        return {"fault": f"it needs more than the {memory / 2**30:.1f} GB of memory that it may take (--max-memory-mb)"}
    if isinstance(error, InputError):
        return {"error": {key: getattr(error, key) for key in ("where", "found", "wanted", "remedy")}}
    traceback.print_exception(error, file=sys.__stderr__)
    return {"fault": f"{type(error).__name__}: {error}".strip().splitlines()[0][:300]}


def _lacks_memory(error: BaseException | None) -> bool:
    """Whether an error, or one that it came of, says that there is no memory left."""
    while error is not None:
        if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _settle(scratch: str, memory: int) -> None:
    """A group of its own, which ends with the server; temporary files that go with the work; limits; no output."""
    tempfile.tempdir = scratch
    sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends
    if "fork" in multiprocessing.get_all_start_methods():  # then locks, such as ITK's and tqdm's, get no names
        multiprocessing.set_start_method("fork", force=True)  # that each process that is killed would leave behind
    if hasattr(os, "setsid"):
        os.setsid()
        import resource  # where there are sessions there are limits

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if memory:  # what is written to: of addresses alone, libraries reserve far more
            _, most = resource.getrlimit(resource.RLIMIT_DATA)
            limit = memory if most == resource.RLIM_INFINITY else min(memory, most)
            resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    _kill_group(os.getpid())
