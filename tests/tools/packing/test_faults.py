"""How programs end by what a user, or a disk, did."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from packing.faults import ended_by_faults
from transmodal.errors import InputError


def test_an_error_of_the_input_is_told_as_it_is() -> None:
    with pytest.raises(SystemExit, match=r"^here: found a; wanted b"), ended_by_faults("out"):
        raise InputError("here", found="a", wanted="b", remedy="c")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    told = r"file/below: found Not a directory; wanted .*\n.*name another one"
    with pytest.raises(SystemExit, match=told), ended_by_faults(tmp_path):
        (tmp_path / "file" / "below").mkdir()


def test_a_full_disk_is_told_of_the_output() -> None:
    told = r"^out: found No space left on device; .*\n.*the space on its disk"
    with pytest.raises(SystemExit, match=told), ended_by_faults("out"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_fault_of_the_program_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError), ended_by_faults("out"):
        raise ZeroDivisionError
