"""Tracebacks of failed cases: kept beside the results until the next try, never in the place of another's file."""

from __future__ import annotations

from pathlib import Path

import pytest

from translating import tracebacks
from translating.inputs import Scan


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    return Scan("knee", tmp_path / "knee.nii.gz")


def raised() -> Exception:
    """An error with a traceback, that came of another one."""
    try:
        try:
            {}["absent"]
        except KeyError as error:
            raise RuntimeError("the engine stopped") from error
    except RuntimeError as error:
        return error


def test_the_whole_chain_of_errors_is_kept_with_the_name_of_the_scan(scan: Scan, tmp_path: Path) -> None:
    kept = tracebacks.keep(tmp_path, scan, raised())
    assert kept == str(tmp_path / "knee.error.txt")
    text = Path(kept).read_text(encoding="utf-8")
    assert f"case knee, {scan.path}" in text
    assert text.index("KeyError: 'absent'") < text.index("RuntimeError: the engine stopped")
    assert 'in raised\n    {}["absent"]' in text


def test_a_later_error_takes_the_place_of_an_earlier_one(scan: Scan, tmp_path: Path) -> None:
    tracebacks.keep(tmp_path, scan, raised())
    kept = tracebacks.keep(tmp_path, scan, ValueError("another"))
    text = Path(kept).read_text(encoding="utf-8")
    assert "another" in text
    assert "absent" not in text


def test_what_is_kept_can_be_forgotten(scan: Scan, tmp_path: Path) -> None:
    tracebacks.keep(tmp_path, scan, raised())
    tracebacks.forget(tmp_path, scan)
    tracebacks.forget(tmp_path, scan)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_is_neither_written_over_nor_removed(scan: Scan, tmp_path: Path) -> None:
    notes = tmp_path / "knee.error.txt"
    notes.write_text("mine", encoding="utf-8")
    assert tracebacks.keep(tmp_path, scan, raised()) == ""
    tracebacks.forget(tmp_path, scan)
    assert notes.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_is_gone_raises_nothing(scan: Scan, tmp_path: Path) -> None:
    assert tracebacks.keep(tmp_path / "gone", scan, raised()) == ""
    tracebacks.forget(tmp_path / "gone", scan)
