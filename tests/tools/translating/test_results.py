"""Results: put into their place whole, and the leavings of killed runs removed."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import pytest

from translating import provenance
from translating.results import Results
from transmodal.errors import InputError


def result(folder: Path, content: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "mr.nii.gz").write_text(content, encoding="utf-8")
    provenance.write(folder, {"request": {}, "warnings": []})
    return folder


def content(folder: Path) -> str:
    return (folder / "mr.nii.gz").read_text(encoding="utf-8")


def leaving(output: Path, pid: int, host: str | None = None, age: float = 0) -> Path:
    folder = output / f".translate-{platform.node() if host is None else host}-{pid}-a1_b2c3d"
    (folder / "data").mkdir(parents=True)
    os.utime(folder, (time.time() - age,) * 2)
    return folder


@pytest.fixture
def ended() -> int:
    """The number of no process, now or later: Linux and macOS give none above 2²²."""
    return 2**22 + 1


def test_a_result_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    results = Results.opened(tmp_path / "results")
    result(tmp_path / "results" / "p1", "old")
    with results.working() as working:
        results.put(result(Path(working) / "made" / "p1", "new"), Path(working))
    assert content(tmp_path / "results" / "p1") == "new"
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["p1"]


def test_an_earlier_result_is_back_if_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, folder = Results.opened(tmp_path), result(tmp_path / "p1", "old")
    replace = os.replace

    def fails_for_the_new(source: Path, target: Path) -> None:
        if Path(source).parent.name == "made":
            raise PermissionError("no")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fails_for_the_new)
    with results.working() as working, pytest.raises(PermissionError):
        results.put(result(Path(working) / "made" / "p1", "new"), Path(working))
    assert content(folder) == "old"


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    results, folder = Results.opened(tmp_path), result(tmp_path / "p1", "old")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    with results.working() as working, pytest.raises(InputError, match=r"notes\.txt"):
        results.put(result(Path(working) / "made" / "p1", "new"), Path(working))
    assert content(folder) == "old"


@pytest.mark.parametrize("name", ["file/below", "/proc/x", "/proc"])
def test_a_folder_that_cannot_be_written_is_refused_with_the_remedy(tmp_path: Path, name: str) -> None:
    if name.startswith("/proc") and not Path("/proc").is_dir():
        pytest.skip("no /proc on this system")
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"found no folder that can be written .*\n.*name another --output"):
        Results.opened(tmp_path / name)


def test_what_a_killed_run_left_is_removed(tmp_path: Path, ended: int) -> None:
    left = leaving(tmp_path, ended)
    Results.opened(tmp_path)
    assert not left.exists()


def test_what_a_run_is_working_on_stays(tmp_path: Path) -> None:
    left = leaving(tmp_path, os.getpid(), age=1e6)
    Results.opened(tmp_path)
    assert left.exists()


@pytest.mark.parametrize(("hours", "there"), [(23, True), (25, False)])
def test_what_another_machine_left_is_removed_after_a_day(
    tmp_path: Path, ended: int, hours: float, there: bool
) -> None:
    left = leaving(tmp_path, ended, host="another-machine", age=hours * 3600)
    Results.opened(tmp_path)
    assert left.exists() == there


@pytest.mark.parametrize("name", [".knee.a1_b2c3d", "translate-host-1-a1_b2c3d", ".translate-notes"])
def test_hidden_folders_of_others_stay(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    os.utime(tmp_path / name, (0, 0))
    Results.opened(tmp_path)
    assert (tmp_path / name).exists()


def test_a_link_that_is_named_like_a_leaving_is_not_followed(tmp_path: Path, ended: int) -> None:
    mine = result(tmp_path / "mine", "mine")
    left = leaving(tmp_path / "results", ended)
    (left / "data").rmdir()
    left.rmdir()
    left.symlink_to(mine, target_is_directory=True)
    Results.opened(tmp_path / "results")
    assert content(mine) == "mine"


def test_a_result_that_a_killed_run_was_about_to_replace_is_back(tmp_path: Path, ended: int) -> None:
    result(leaving(tmp_path, ended) / "before" / "p1", "old")
    Results.opened(tmp_path)
    assert content(tmp_path / "p1") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["p1"]
