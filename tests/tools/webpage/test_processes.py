"""Functions in processes of their own: answers, errors, crashes, and an end at any moment."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tools.webpage.conftest import runs, wait_until
from transmodal.errors import InputError
from webpage.processes import Ended, Work, Works

HERE = "tests.tools.webpage.test_processes"


def work(name: str, scratch: Path, **arguments: object) -> Work:
    return Work(f"{HERE}:{name}", arguments, scratch)


def doubled(value: int) -> dict[str, int]:
    return {"value": 2 * value}


def refusing() -> None:
    raise InputError("the scan", found="nothing", wanted="something", remedy="look again")


def broken() -> None:
    raise RuntimeError("cannot go on\nbecause")


def killed() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def sleeping(pids: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    partial = Path(f"{pids}.partial")
    partial.write_text(f"{os.getpid()} {child.pid}", encoding="utf-8")
    partial.rename(pids)
    time.sleep(600)


def where_temporary_files_go() -> str:
    return tempfile.gettempdir()


def filling(how: str) -> int:
    if how == "numpy":
        return int(np.ones(1 << 32, np.uint8)[0])
    if how == "torch":
        return int(torch.ones(1 << 32, dtype=torch.uint8)[0])
    try:
        return len(bytearray(1 << 32))
    except MemoryError as error:
        raise InputError("the scan", found="it is broken", wanted="a scan", remedy="look again") from error


def name_of_a_lock() -> str | None:
    return multiprocessing.RLock()._semlock.name  # type: ignore[attr-defined, no-any-return]


def printing() -> str:
    print("to nobody")
    return "done"


def test_an_answer_comes_back(tmp_path: Path) -> None:
    assert work("doubled", tmp_path, value=21).answer() == {"value": 42}


def test_an_input_error_comes_back_in_its_parts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the scan: found nothing; wanted something") as error:
        work("refusing", tmp_path).answer()
    assert error.value.remedy == "look again"


def test_any_other_error_is_told_on_one_line(tmp_path: Path) -> None:
    with pytest.raises(Ended, match=r"^RuntimeError: cannot go on$"):
        work("broken", tmp_path).answer()


def test_a_crash_is_told_by_its_signal(tmp_path: Path) -> None:
    with pytest.raises(Ended, match="SIGSEGV"):
        work("killed", tmp_path).answer()


def test_a_process_that_takes_too_long_ends_with_all_that_it_began(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    running = work("sleeping", tmp_path, pids=str(pids))
    wait_until(pids.is_file)
    with pytest.raises(Ended, match=r"it took more than 0\.1 seconds"):
        running.answer(0.1)
    own, child = map(int, pids.read_text(encoding="utf-8").split())
    wait_until(lambda: not runs(own) and not runs(child))


def test_killing_is_told_as_the_end(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    running = work("sleeping", tmp_path, pids=str(pids))
    wait_until(pids.is_file)
    running.kill()
    running.kill()  # once more does no harm
    with pytest.raises(Ended, match="SIGKILL"):
        running.answer()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit does not count what is taken")
@pytest.mark.parametrize("how", ["numpy", "torch", "told as a fault of the scan"])
def test_more_memory_than_is_allowed_is_told_as_that(tmp_path: Path, how: str) -> None:
    with pytest.raises(Ended, match=r"^it needs more than the 3\.0 GB of memory that it may take \(--max-memory-mb\)$"):
        Work(f"{HERE}:filling", {"how": how}, tmp_path, memory=3 << 30).answer()


def test_temporary_files_go_where_the_work_does(tmp_path: Path) -> None:
    assert work("where_temporary_files_go", tmp_path).answer() == str(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="elsewhere no lock has a name")
def test_locks_of_a_process_have_no_names_that_it_would_leave_when_it_is_killed(tmp_path: Path) -> None:
    assert work("name_of_a_lock", tmp_path).answer() is None


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert work("printing", tmp_path).answer() == "done"
    assert "to nobody" not in capfd.readouterr().out


def test_closing_ends_what_somebody_waits_for_and_what_is_asked_for_later(tmp_path: Path) -> None:
    works, pids = Works(), tmp_path / "pids"
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(works.answer, f"{HERE}:sleeping", {"pids": str(pids)}, tmp_path)
        wait_until(lambda: pids.is_file() or waiting.done())
        works.close()
        with pytest.raises(Ended, match="SIGKILL"):
            waiting.result()
    with pytest.raises(Ended):
        works.answer(f"{HERE}:sleeping", {"pids": str(tmp_path / "more")}, tmp_path)


def test_the_end_of_a_process_is_told_to_each_thread_that_ends_it(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    running = work("sleeping", tmp_path, pids=str(pids))
    wait_until(pids.is_file)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: running.kill(), range(8)))
    with pytest.raises(Ended, match="SIGKILL"):
        running.answer()
